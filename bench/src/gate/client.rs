//! A real git client, and repositories made with it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use rand::{RngCore as _, SeedableRng as _, rngs::SmallRng};

use super::sshd::Sshd;
use super::{shown, timed};

pub(crate) struct Client {
    home: PathBuf,
    /// The settings with which ssh finds the server and its key.
    ssh: String,
}

impl Client {
    pub(crate) fn new(home: &Path, sshd: &Sshd) -> anyhow::Result<Self> {
        Ok(Self { home: home.to_owned(), ssh: format!("ssh -F {}", shown(sshd.client_settings())?) })
    }

    fn git(&self, folder: &Path, arguments: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.home);
        command.env("GIT_SSH_COMMAND", &self.ssh).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Bench")
                .env(format!("GIT_{role}_EMAIL"), "b@example.org");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("running git")?;
        child.stdin.take().context("git takes no input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?} failed: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A repository with a beginning on `main` and this many commits on `work`, each with its share of the files, of
    /// words like those of programs.
    pub(crate) fn commits(&self, folder: &Path, commits: usize, files: usize) -> anyhow::Result<()> {
        let mut stream =
            String::from("commit refs/heads/main\ncommitter B <b@example.org> 1 +0000\ndata 5\nBegin\n");
        for commit in 0..commits {
            let from = if commit == 0 { "from refs/heads/main\n" } else { "" };
            write!(
                stream,
                "commit refs/heads/work\ncommitter B <b@example.org> {} +0000\ndata 4\nMore\n{from}",
                commit + 2
            )?;
            for file in (commit * files / commits)..((commit + 1) * files / commits) {
                let text = source(file);
                write!(
                    stream,
                    "M 644 inline src/part{}/file{file}.rs\ndata {}\n{text}\n",
                    file % 40,
                    text.len()
                )?;
            }
        }
        self.import(folder, stream.as_bytes())
    }

    /// A repository with files of random bytes, of this size together.
    pub(crate) fn large(&self, folder: &Path, bytes: usize) -> anyhow::Result<()> {
        let mut stream =
            b"commit refs/heads/main\ncommitter B <b@example.org> 1 +0000\ndata 5\nLarge\n".to_vec();
        let mut random = SmallRng::seed_from_u64(20);
        let mut piece = vec![0; 4 << 20];
        for file in 0..bytes / piece.len() {
            random.fill_bytes(&mut piece);
            writeln!(stream, "M 644 inline file{file}.bin\ndata {}", piece.len())?;
            stream.extend_from_slice(&piece);
            stream.push(b'\n');
        }
        self.import(folder, &stream)
    }

    fn import(&self, folder: &Path, stream: &[u8]) -> anyhow::Result<()> {
        std::fs::create_dir(folder)?;
        self.git(folder, &["init", "--quiet", "--bare", "--initial-branch=main"], b"")?;
        self.git(folder, &["fast-import", "--quiet"], stream).map(drop)
    }

    /// An upstream that has one branch of a repository.
    pub(crate) fn bare(&self, upstream: &Path, from: &Path, branch: &str) -> anyhow::Result<()> {
        let target = upstream.parent().context("an upstream without a parent")?;
        self.git(target, &["init", "--quiet", "--bare", "--initial-branch=main", shown(upstream)?], b"")?;
        self.git(from, &["push", "--quiet", shown(upstream)?, &format!("{branch}:refs/heads/main")], b"")
            .map(drop)
    }

    /// Pushes everything to a new branch; how many milliseconds that took.
    pub(crate) fn push(&self, from: &Path, url: &str, branch: &str) -> anyhow::Result<f64> {
        let refspec = format!("work:refs/heads/{branch}");
        timed(|| self.git(from, &["push", "--quiet", url, &refspec], b""))
    }

    /// Takes a branch with all that only it had out of an upstream.
    pub(crate) fn forget(&self, upstream: &Path, branch: &str) -> anyhow::Result<()> {
        self.git(upstream, &["update-ref", "-d", &format!("refs/heads/{branch}")], b"")?;
        self.git(upstream, &["-c", "gc.auto=0", "prune", "--expire=now"], b"")?;
        self.git(upstream, &["-c", "gc.auto=0", "repack", "-a", "-d", "-q"], b"").map(drop)
    }

    /// Clones, and removes the clone; how many milliseconds the first took.
    pub(crate) fn clone(&self, url: &str, target: &Path) -> anyhow::Result<f64> {
        let took = timed(|| self.git(&self.home, &["clone", "--quiet", "--bare", url, shown(target)?], b""))?;
        if !target.join("HEAD").exists() {
            bail!("nothing was cloned from {url}");
        }
        std::fs::remove_dir_all(target)?;
        Ok(took)
    }
}

/// About two kilobytes of a program.
fn source(number: usize) -> String {
    let mut random = SmallRng::seed_from_u64(number as u64);
    let words = [
        "let", "value", "match", "store", "request", "answer", "if", "loop", "count", "name", "path", "self",
    ];
    let mut text = format!("//! Part {number}.\n");
    while text.len() < 2000 {
        let word = words[random.next_u32() as usize % words.len()];
        let end = if random.next_u32() % 8 == 0 { ";\n    " } else { " " };
        text.push_str(word);
        text.push_str(end);
    }
    text
}
