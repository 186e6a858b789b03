//! A git client as an agent has it, with nothing of this machine's settings.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long a client may take before a story fails.
const LONGEST: Duration = Duration::from_secs(60);

/// Every git that is there.
pub(crate) fn gits() -> Vec<PathBuf> {
    let all = ["/usr/bin/git", "/usr/local/bin/git"].map(PathBuf::from);
    let found: Vec<_> = all.into_iter().filter(|path| path.exists()).collect();
    assert!(!found.is_empty(), "git is missing: run deploy/tools/prerequisites test");
    found
}

/// The git that stories use which are not about versions.
pub(crate) fn git() -> PathBuf {
    gits().remove(0)
}

/// Bytes that cannot be packed.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A directory and a git.
pub(crate) struct Client {
    pub(crate) program: PathBuf,
    home: tempfile::TempDir,
}

/// What a call said.
pub(crate) struct Said {
    pub(crate) is_well: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Client {
    pub(crate) fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn command(&self, place: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.home.path().join(place))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "init.defaultBranch")
            .env("GIT_CONFIG_VALUE_0", "main")
            .env("GIT_CONFIG_KEY_1", "protocol.file.allow")
            .env("GIT_CONFIG_VALUE_1", "always");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Agent")
                .env(format!("GIT_{who}_EMAIL"), "agent@example.org");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs git in a directory below the home.
    pub(crate) async fn said(&self, place: &str, arguments: &[&str]) -> Said {
        Said::of(self.command(place, arguments)).await
    }

    /// Runs git, which must succeed. What it said.
    pub(crate) async fn git(&self, place: &str, arguments: &[&str]) -> String {
        let said = self.said(place, arguments).await;
        assert!(said.is_well, "git {arguments:?}: {}{}", said.out, said.err);
        said.out.trim_end().to_owned()
    }

    /// Runs git, which must fail. What it complained of.
    pub(crate) async fn refused(&self, place: &str, arguments: &[&str]) -> String {
        let said = self.said(place, arguments).await;
        assert!(!said.is_well, "git {arguments:?} went well: {}{}", said.out, said.err);
        said.err
    }

    /// Writes a file and commits it. The commit.
    pub(crate) async fn commit(&self, place: &str, file: &str, text: &str) -> String {
        std::fs::write(self.home.path().join(place).join(file), text).unwrap();
        self.git(place, &["add", "--all"]).await;
        self.git(place, &["commit", "--quiet", "-m", file]).await;
        self.git(place, &["rev-parse", "HEAD"]).await
    }
}

impl Said {
    pub(crate) async fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } =
            timeout(LONGEST, command.output()).await.expect("git ends").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { is_well: status.success(), out: text(stdout), err: text(stderr) }
    }
}
