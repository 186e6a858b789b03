//! `edit`: a bottle's or an agent's file in the operator's editor, checked afterwards (L4).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use base::id::{AgentName, BottleName};
use manifest::{Home, Library, Reach, Selection};

use super::init;
use crate::args::edit::Edit;
use crate::context::Context;
use crate::deciding::Editor;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;

const BOTTLE: &str = include_str!("edit/bottle.md");
const AGENT: &str = include_str!("edit/agent.md");

/// Edits a file until nothing is wrong with it, or the operator leaves it as it is.
///
/// # Errors
/// There is no such file, or one too many; the editor fails; or the file is left broken.
pub async fn run(context: &Context, args: &Edit) -> Result<Exit, Failure> {
    let file = File::of(context, args);
    let editor = Editor::of_environment().or_exit(Exit::Usage)?;
    let fresh = if args.new { Some(file.create(context)?) } else { None };
    if !file.path.exists() {
        let kind = file.kind();
        let option = if args.bottle { "--bottle " } else { "" };
        let error = anyhow!(
            "there is no {kind} {}: `bot-bottle edit {option}--new {}` makes one",
            args.name,
            args.name
        );
        return Err(Failure::new(Exit::NotFound, error));
    }
    loop {
        let edited = editor.open(&file.path).await;
        if let Some(template) = &fresh
            && edited.is_err()
        {
            file.remove_untouched(template);
        }
        edited?;
        let Some(wrong) = file.wrong(context) else { break };
        output::note(&output::inert_lines(&wrong));
        if !output::is_interactive() || !again()? {
            let error = anyhow!("{} is left as it is, and cannot be used", file.path.display());
            return Err(Failure::new(Exit::Input, error));
        }
    }
    output::line(&format!("{} is good", file.path.display()));
    Ok(Exit::Ok)
}

fn again() -> Result<bool, Failure> {
    let answer = super::start::line("edit it again? [Y/n] ")?;
    Ok(!matches!(answer.as_str(), "n" | "N" | "no"))
}

/// What is edited.
struct File {
    path: PathBuf,
    name: AgentName,
    is_bottle: bool,
}

impl File {
    fn of(context: &Context, args: &Edit) -> Self {
        let home = Home::at(context.home.clone());
        let folder = if args.bottle { home.bottles() } else { home.agents() };
        Self {
            path: folder.join(format!("{}.md", args.name)),
            name: args.name.clone(),
            is_bottle: args.bottle,
        }
    }

    fn kind(&self) -> &'static str {
        if self.is_bottle { "bottle" } else { "agent" }
    }

    /// Writes a first text, which is returned.
    fn create(&self, context: &Context) -> Result<String, Failure> {
        init::make(&context.home)?;
        let text =
            if self.is_bottle { BOTTLE.to_owned() } else { AGENT.replace("BOTTLE", &self.bottle(context)) };
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match made.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let error = anyhow!("{} is there already: leave --new away to edit it", self.path.display());
                Err(Failure::new(Exit::Usage, error))
            }
            Err(error) => Err(error).with_context(|| format!("cannot write {}", self.path.display()))?,
        }
    }

    /// The bottle of a new agent: the one of its name, or the first.
    fn bottle(&self, context: &Context) -> String {
        let library = Library::of_home(Home::at(context.home.clone()));
        let own: Option<BottleName> = self.name.as_str().parse().ok();
        let own = own.filter(|name| library.bottles().contains_key(name));
        own.or_else(|| library.bottles().keys().next().cloned())
            .map_or_else(|| "example".to_owned(), String::from)
    }

    /// A file that nobody wrote is not left behind.
    fn remove_untouched(&self, template: &str) {
        if read(&self.path).as_deref() == Some(template) {
            // It stays, which does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// What is wrong with it, if something is: with the file itself, or with what an agent names.
    fn wrong(&self, context: &Context) -> Option<String> {
        let library = Library::of_home(Home::at(context.home.clone()));
        let name: BottleName = self.name.as_str().parse().ok()?;
        if self.is_bottle {
            let entry = library.bottles().get(&name);
            return match entry {
                Some(Ok(_)) => None,
                Some(Err(broken)) => Some(broken.to_string()),
                None => Some(format!("{} is gone", self.path.display())),
            };
        }
        let selection = Selection { agent: self.name.clone(), bottles: Vec::new(), reach: Reach::Home };
        library.resolve(&selection).err().map(|error| base::error::chain(&error))
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}
