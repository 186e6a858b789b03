//! `init`: make the home.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use bus::keys::Keys;
use bus::message::proposal::OperatorKey;
use supervisor::operators;

use crate::args::Init;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

const BOTTLE: &str = include_str!("../../../examples/bottles/example.md");
const AGENT: &str = include_str!("../../../examples/agents/example.md");

/// Makes folders, keys and, unless told not to, a first bottle and agent. What is there already stays as it is.
///
/// # Errors
/// The home cannot be written.
pub fn run(context: &Context, args: &Init) -> Result<Exit, Failure> {
    make(&context.home)?;
    if !args.bare {
        for (path, text) in [("bottles/example.md", BOTTLE), ("agents/example.md", AGENT)] {
            let path = context.home.join(path);
            if write_new(&path, text)? {
                output::line(&format!("wrote {}", path.display()));
            }
        }
    }
    let next = if args.bare { "" } else { "; try `bot-bottle start example`" };
    output::line(&format!("{} is ready{next}", context.home.display()));
    Ok(Exit::Ok)
}

/// Makes the folders and the keys of a home, and lists the operator's as one whose answers count (S9). Safe to repeat.
///
/// # Errors
/// The home cannot be written.
pub fn make(home: &Path) -> anyhow::Result<()> {
    for folder in [home.to_owned(), home.join("bottles"), home.join("agents")] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Keys::init(home).context("cannot make the keys of the bus")?;
    let key =
        OperatorKey::load_or_create(&operators::key_file(home)).context("cannot make the operator's key")?;
    operators::admit(home, &key.id(), &name()).context("cannot list the operator's key")
}

/// Whose key it is, for those who read the list: `alice@laptop`.
fn name() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let uname = rustix::system::uname();
    format!("{}@{}", user.as_deref().unwrap_or("operator"), uname.nodename().to_string_lossy())
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_operator_however_often_it_is_made() {
        let home = tempfile::tempdir().unwrap();
        make(home.path()).unwrap();
        let key = OperatorKey::load(&operators::key_file(home.path())).unwrap().id();
        make(home.path()).unwrap();
        assert_eq!(operators::read(home.path()).unwrap().into_iter().collect::<Vec<_>>(), [key]);
    }
}
