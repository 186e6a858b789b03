//! Which `nats-server`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{OLDEST, ServerError};

const NAME: &str = "nats-server";
const VARIABLE: &str = "BOT_BOTTLE_NATS_SERVER";

/// The program to start, known to be recent enough.
pub(super) fn resolve(given: Option<&Path>) -> Result<PathBuf, ServerError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => search()?,
    };
    match version(&path) {
        Some(version) if is_recent(&version) => Ok(path),
        Some(found) => Err(ServerError::TooOld { path, found: base::inert(&found, 80) }),
        None => Err(ServerError::NotFound { looked: path.display().to_string() }),
    }
}

/// The `nats-server` that would be started.
///
/// # Errors
/// [`ServerError::NotFound`], [`ServerError::TooOld`].
pub fn installed() -> Result<PathBuf, ServerError> {
    resolve(None)
}

fn search() -> Result<PathBuf, ServerError> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Ok(path.into());
    }
    let exe = std::env::current_exe().unwrap_or_default();
    // Where `make install` puts it: next to the services, or for the command line in their folder.
    let beside = exe.parent().map(|dir| [dir.join(NAME), dir.join("../libexec/bot-bottle").join(NAME)]);
    let tools = exe.ancestors().skip(1).map(|dir| dir.join(".tools/bin").join(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|dir| dir.join(NAME)).collect::<Vec<_>>();
    beside
        .into_iter()
        .flatten()
        .chain(tools)
        .chain(installed)
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            let looked =
                "the program's own directory, ../libexec/bot-bottle, .tools/bin above it, PATH".to_owned();
            ServerError::NotFound { looked }
        })
}

/// What `nats-server --version` says: `nats-server: v2.15.1`.
fn version(path: &Path) -> Option<String> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    Some(line.trim_start_matches("nats-server:").trim().trim_start_matches('v').to_owned())
}

/// Whether a server of this version (`2.15.1`, `2.12.0-beta.1`) keeps what it acknowledged.
#[must_use]
pub fn is_recent(version: &str) -> bool {
    let numbers = |text: &str| {
        let text = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        Some((parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?))
    };
    matches!((numbers(version), numbers(OLDEST)), (Some(found), Some(oldest)) if found >= oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_unreadable_versions_are_refused() {
        for (version, recent) in [
            ("2.15.1", true),
            ("2.11.0", true),
            ("2.12.0-beta.1", true),
            ("3.0.0", true),
            ("2.10.22", false),
            ("2.9.10", false),
            ("", false),
            ("v", false),
            ("2", false),
            ("two.eleven.0", false),
        ] {
            assert_eq!(is_recent(version), recent, "{version:?}");
        }
    }
}
