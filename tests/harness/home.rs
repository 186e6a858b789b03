//! A home that exists for one story.

use std::path::Path;
use std::process::Stdio;

use policy::EgressPolicy;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{Backend, LIMIT, Ran, program};

/// A temporary home, and the command line that uses it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    /// In the environment of every program that runs in a bottle of this home.
    pub marker: String,
    /// What isolates its bottles unless a start says otherwise.
    pub backend: Backend,
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("bot-bottle-story-").tempdir();
        let marker = format!("story-{}", base::id::ExchangeId::random());
        let folder = folder.unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self { folder, marker, backend: Backend::Namespace }
    }

    /// One whose bottles are made by that backend.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn on(backend: Backend) -> Self {
        let home = Self { backend, ..Self::empty() };
        home.write_file("settings.yaml", &format!("backend: {}\n", backend.name()));
        home
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let parent = path.parent().unwrap_or(self.path());
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Writes a bottle that runs this program, and an agent of the same name.
    pub fn write(&self, name: &str, argv: &[&str], policy: &EgressPolicy) {
        let bottle = serde_json::json!({
            "agent_provider": { "template": "command", "argv": argv },
            "env": { "STORY": self.marker },
            "egress": policy,
        });
        // JSON is YAML.
        self.write_file(&format!("bottles/{name}.md"), &format!("---\n{bottle}\n---\n"));
        self.write_file(&format!("agents/{name}.md"), &format!("---\nbottle: {name}\n---\n"));
    }

    /// A command line with this home, not yet run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("bot-bottle"));
        command
            .args(arguments)
            .env("BOT_BOTTLE_HOME", self.path())
            .env_remove("NATS_URL")
            .env("BOT_BOTTLE_PROBE", "canaries")
            .envs(self.backend.variables())
            .current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command line to its end.
    ///
    /// # Panics
    /// When it does not end within [`LIMIT`].
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments)).await
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not end within [`LIMIT`].
pub(crate) async fn run(mut command: Command) -> Ran {
    let line = format!("{:?}", command.as_std());
    let ended = tokio::time::timeout(LIMIT, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{line} has not ended within {LIMIT:?}"));
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    Ran {
        command: line,
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
