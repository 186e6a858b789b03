//! A mirror, an author whose objects are not in it, and a judge.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::Secret;
use base::clock::Clock;
use bus::Bus;
use gitgate::git::Git;
use gitgate::judge::{Judge, JudgeConfig, RepoRules};
use gitgate::judging::{Judging as _, Passed, Refused};
use gitgate::object::ObjectId;
use gitgate::progress::Progress;
use gitgate::push::{Push, Update};
use handover::gitgate::GateLimits;
use manifest::{RefRules, WorkflowRule};
use tokio::sync::watch;

pub(crate) const REPO: &str = "project";
pub(crate) const BOTTLE: &str = "dev-abc12";

/// Repositories in a directory of their own.
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    /// What was written since the last push.
    new: Vec<String>,
    /// What was written and is not upstream's.
    written: HashSet<String>,
    pushes: u32,
    format: &'static str,
}

/// What a judge is made with.
pub(crate) struct Options {
    pub(crate) rules: RepoRules,
    pub(crate) limits: GateLimits,
    pub(crate) supervise: bool,
    pub(crate) bus: watch::Receiver<Option<Bus>>,
    pub(crate) canary: Option<String>,
    pub(crate) secrets: Vec<(String, String)>,
    pub(crate) git: PathBuf,
    pub(crate) gitleaks: PathBuf,
    pub(crate) operator: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        let all = || Some(vec!["*".to_owned(), "refs/tags/*".to_owned()]);
        Self {
            rules: RepoRules {
                refs: RefRules { create: all(), update: all(), force: all(), delete: all() },
                workflows: WorkflowRule::Ask,
            },
            limits: GateLimits { scan_seconds: 120, hold_seconds: 20, ..GateLimits::default() },
            supervise: false,
            bus: watch::channel(None).1,
            canary: None,
            secrets: Vec::new(),
            git: "/usr/bin/git".into(),
            gitleaks: tool("gitleaks"),
            operator: None,
        }
    }
}

/// A program of `.tools/bin`.
pub(crate) fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin").join(name)
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of("sha1")
    }

    /// A mirror with one commit on `main`.
    pub(crate) fn of(format: &'static str) -> Self {
        let home = tempfile::tempdir().unwrap();
        for directory in ["empty", "scratch"] {
            std::fs::create_dir(home.path().join(directory)).unwrap();
        }
        let mut world = Self { home, new: Vec::new(), written: HashSet::new(), pushes: 0, format };
        for repository in ["mirror", "author"] {
            let path = world.path(repository);
            let path = path.to_str().unwrap();
            let format = format!("--object-format={format}");
            world.git("author", &["init", "-q", "--bare", &format, "-b", "main", path], b"");
        }
        let alternates = world.path("author/objects/info/alternates");
        std::fs::write(alternates, format!("{}\n", world.path("mirror/objects").display())).unwrap();
        let file = world.blob(b"hello\n");
        let tree = world.tree(&[("100644", "README", &file)]);
        let base = world.commit(&tree, &[], "first\n");
        world.upstream("refs/heads/main", &base);
        world
    }

    /// A program that stands for another.
    pub(crate) fn stand_in(&self, text: &str) -> PathBuf {
        let path = self.path("stand-in");
        // Written by another process: one that this one forks meanwhile would have it open for writing, and then it cannot
        // be run.
        let script = format!("#!/bin/sh\n{text}\n");
        let write = ["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""];
        let written = Command::new("sh").args(write).arg(&path).arg(script).status().unwrap();
        assert!(written.success());
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs git on a repository, and gives back what it wrote.
    pub(crate) fn git(&self, repository: &str, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.git_bytes(repository, arguments, input)).unwrap().trim().to_owned()
    }

    fn git_bytes(&self, repository: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("empty"))
            .env("GIT_DIR", self.path(repository))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(quarantine) = repository.strip_prefix("quarantine:") {
            command.env("GIT_DIR", self.path("mirror")).env("GIT_OBJECT_DIRECTORY", self.path(quarantine));
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.path("mirror/objects"));
        }
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        output.stdout
    }

    /// Writes an object of the author's, whatever git thinks of it.
    pub(crate) fn object(&mut self, kind: &str, bytes: &[u8]) -> String {
        let arguments = ["hash-object", "-w", "--literally", "--stdin", "-t", kind];
        let id = self.git("author", &arguments, bytes);
        self.adopt(&id);
        id
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> String {
        self.object("blob", bytes)
    }

    /// A tree; names may hold whatever they like.
    pub(crate) fn tree(&mut self, entries: &[(&str, impl AsRef<[u8]>, &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name.as_ref());
            bytes.push(0);
            bytes.extend(hex(id));
        }
        self.object("tree", &bytes)
    }

    pub(crate) fn commit(&mut self, tree: &str, parents: &[&str], message: &str) -> String {
        self.commit_with(tree, parents, "", message.as_bytes())
    }

    /// A commit with more headers.
    pub(crate) fn commit_with(
        &mut self,
        tree: &str,
        parents: &[&str],
        headers: &str,
        message: &[u8],
    ) -> String {
        let who = "Ann Author <ann@dev.example> 1700000000 +0000";
        self.commit_by(tree, parents, &format!("author {who}\ncommitter {who}\n{headers}"), message)
    }

    /// A commit whose headers after its parents are these.
    pub(crate) fn commit_by(
        &mut self,
        tree: &str,
        parents: &[&str],
        headers: &str,
        message: &[u8],
    ) -> String {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let head = format!("tree {tree}\n{parents}{headers}\n");
        self.object("commit", &[head.as_bytes(), message].concat())
    }

    pub(crate) fn tag(&mut self, object: &str, kind: &str, name: &str, message: &str) -> String {
        let who = "Ann Author <ann@dev.example> 1700000000 +0000";
        let text = format!("object {object}\ntype {kind}\ntag {name}\ntagger {who}\n\n{message}");
        self.object("tag", text.as_bytes())
    }

    /// A commit on top of `main` with one file.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> String {
        let blob = self.blob(bytes);
        let tree = self.tree(&[("100644", name, blob.as_str())]);
        let main = self.main();
        self.commit(&tree, &[&main], "work\n")
    }

    pub(crate) fn main(&self) -> String {
        self.git("mirror", &["rev-parse", "refs/heads/main"], b"")
    }

    pub(crate) fn tree_of(&self, commit: &str) -> String {
        let commit = if commit == "refs/heads/main" { self.main() } else { commit.to_owned() };
        self.git("author", &["rev-parse", &format!("{commit}^{{tree}}")], b"")
    }

    /// What was written is upstream's now, under this name.
    pub(crate) fn upstream(&mut self, name: &str, id: &str) {
        let pack = self.pack();
        if let Some(pack) = pack {
            self.git("mirror", &["index-pack", "--stdin", "--fix-thin"], &pack);
        }
        self.git("mirror", &["update-ref", name, id], b"");
        self.written.clear();
    }

    fn pack(&mut self) -> Option<Vec<u8>> {
        let ids: String = std::mem::take(&mut self.new).iter().map(|id| format!("{id}\n")).collect();
        (!ids.is_empty())
            .then(|| self.git_bytes("author", &["pack-objects", "-q", "--stdout"], ids.as_bytes()))
    }

    /// Forgets what was written: it is not pushed.
    pub(crate) fn forget(&mut self, id: &str) {
        self.new.retain(|new| new != id);
        self.written.remove(id);
    }

    /// An object that came another way is pushed with the next push.
    pub(crate) fn adopt(&mut self, id: &str) {
        self.new.push(id.to_owned());
        self.written.insert(id.to_owned());
    }

    /// Everything that was written, in quarantine, and refs that want to move.
    pub(crate) fn push(&mut self, updates: &[(&str, Option<&str>)]) -> Push {
        self.pushes += 1;
        let quarantine = format!("quarantine-{}", self.pushes);
        for (_, tip) in updates {
            self.want(tip.unwrap_or_default());
        }
        let packed = self.pack().map(|pack| {
            std::fs::create_dir_all(self.path(&quarantine).join("pack")).unwrap();
            self.git(&format!("quarantine:{quarantine}"), &["index-pack", "--stdin"], &pack);
            self.path(&quarantine)
        });
        let update = |(name, new): &(&str, Option<&str>)| Update {
            name: name.parse().unwrap(),
            old: ObjectId::parse_or_none(&self.known(name)).unwrap(),
            new: new.map(|new| new.parse().unwrap()),
        };
        Push {
            repo: REPO.to_owned(),
            mirror: self.path("mirror"),
            quarantine: packed,
            default_branch: Some("refs/heads/main".parse().unwrap()),
            updates: updates.iter().map(update).collect(),
            options: Vec::new(),
        }
    }

    /// What a tip reaches is pushed, though it was written before the last push.
    fn want(&mut self, tip: &str) {
        let mut command = Command::new("git");
        command.args(["rev-list", "--objects", "--no-object-names", tip]).env("GIT_DIR", self.path("author"));
        // Where something is missing, what there is was written for this push.
        let listed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        for id in listed.lines().filter(|id| self.written.contains(*id)) {
            if !self.new.iter().any(|new| new == id) {
                self.new.push(id.to_owned());
            }
        }
    }

    fn known(&self, name: &str) -> String {
        let known = self.git("mirror", &["for-each-ref", "--format=%(objectname)", name], b"");
        if known.is_empty() { "0".repeat(if self.format == "sha1" { 40 } else { 64 }) } else { known }
    }

    pub(crate) fn judge(&self, options: Options) -> Judge {
        let secret = |(name, value)| (name, Secret::new(value));
        Judge::start(JudgeConfig {
            bottle: BOTTLE.parse().unwrap(),
            clock: Clock::System,
            bus: options.bus,
            revision: 1,
            supervise: options.supervise,
            git: Git::new(options.git, self.path("empty")),
            gitleaks: options.gitleaks,
            rules: options.operator,
            canary: options.canary.map(Secret::new),
            secrets: options.secrets.into_iter().map(secret).collect(),
            limits: options.limits,
            repos: [(REPO.to_owned(), options.rules)].into(),
            scratch: self.path("scratch"),
        })
        .unwrap()
    }

    /// Judges one push of a branch with the usual judge.
    pub(crate) async fn judged(&mut self, tip: &str) -> Result<Passed, Refused> {
        let push = self.push(&[("refs/heads/agent/x", Some(tip))]);
        judged(&self.judge(Options::default()), &push).await
    }
}

pub(crate) async fn judged(judge: &Judge, push: &Push) -> Result<Passed, Refused> {
    judge.judge(push, &Progress::channel().0).await
}

pub(crate) fn hex(id: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
    (0..id.len()).step_by(2).map(digit).collect()
}

/// A made-up token of a form that both scans know: built from parts, the same for the same seed.
pub(crate) fn token(seed: u64) -> String {
    format!("{}{}{}", "gh", "p_", letters(seed, 36))
}

/// Letters and digits that look random.
pub(crate) fn letters(seed: u64, length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ23456789";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 20) as usize % LETTERS.len()])
    };
    (0..length).map(|_| next()).collect()
}

/// As long as a token, and none.
pub(crate) fn harmless() -> String {
    "ordinary-words-that-are-no-secret-at-all".to_owned()
}
