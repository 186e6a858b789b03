//! One look at upstream, and the fetch that follows where something is new there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::sync::{Mutex, watch};

use super::listing::{FORMAT, Head, Listing};
use crate::child::{self, Ended};
use crate::commands::Format;
use crate::git::Git;
use crate::object::ObjectId;
use crate::reference::RefName;
use crate::upstream::Upstream;

/// Bytes of a list of refs: a million of them.
const LISTING: usize = 128 << 20;
/// Bytes of what other calls may say.
const LITTLE: usize = 64 << 10;
/// Lines of git's complaint that are told.
const TOLD: usize = 6;
/// Lines that are not.
const ADVICE: [&str; 3] = [
    "Could not read from remote repository",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
];

/// See the module.
pub(super) struct Sync {
    pub(super) path: PathBuf,
    pub(super) git: Git,
    pub(super) upstream: Arc<Upstream>,
    pub(super) within: Duration,
    pub(super) moving: Arc<Mutex<()>>,
    pub(super) told: watch::Sender<String>,
}

/// What was seen, and is in the mirror now.
pub(super) struct Look {
    pub(super) format: Format,
    pub(super) refs: BTreeMap<String, ObjectId>,
    pub(super) default_branch: Option<RefName>,
}

impl Sync {
    /// Looks, and fetches what is new.
    ///
    /// # Errors
    /// Upstream cannot be reached or refuses, or its objects are not sound.
    pub(super) async fn run(&self) -> anyhow::Result<Look> {
        self.told.send_replace("asking upstream what it has".to_owned());
        let _lease = self.upstream.connect().await;
        let listing = self.listing().await?;
        let format = self.prepare(&listing).await?;
        let mut refs = self.refs().await?;
        if refs != listing.refs {
            self.fetch().await?;
            refs = self.refs().await?;
        }
        let _moving = self.moving.lock().await;
        let default_branch = self.follow(&listing.head).await?;
        Ok(Look { format, refs, default_branch })
    }

    async fn listing(&self) -> anyhow::Result<Listing> {
        let listed = self.call(self.question(), LISTING, "asking upstream for its refs").await?;
        Listing::of_remote(&listed.out).context("upstream's list of refs cannot be read")
    }

    fn question(&self) -> Command {
        // It needs no repository, and must not ask one that is not there yet.
        let mut command = self.upstream.command(&self.git, Path::new("/dev/null"));
        command.env_remove("GIT_DIR").current_dir("/");
        command.args(["ls-remote", "--symref", "--", self.upstream.url()]);
        command
    }

    /// How an upstream without any ref says that its objects are named. No command of git tells, but its trace does.
    async fn told_format(&self) -> anyhow::Result<Format> {
        let trace = tempfile::NamedTempFile::new().context("making a file for git's trace")?;
        let mut command = self.question();
        command.env("GIT_TRACE_PACKET", trace.path());
        self.call(command, LISTING, "asking upstream how it names its objects").await?;
        let told = std::fs::read_to_string(trace.path()).context("reading git's trace")?;
        let is_sha256 = told.contains("object-format=sha256");
        Ok(if is_sha256 { Format::Sha256 } else { Format::Sha1 })
    }

    /// Makes the repository unless it is there. How its objects are named.
    async fn prepare(&self, listing: &Listing) -> anyhow::Result<Format> {
        if self.path.join("HEAD").exists() {
            self.unlock();
            let format = self.format(&self.path).await?;
            if listing.format().is_none_or(|upstream| upstream == format) {
                return Ok(format);
            }
            // Upstream was made anew.
        }
        let new = self.path.with_file_name("new");
        for old in [&new, &self.path] {
            match std::fs::remove_dir_all(old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", old.display()));
                }
                _ => {}
            }
        }
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        let format = match listing.format() {
            Some(format) => format,
            None => self.told_format().await?,
        };
        let mut command = self.git.command(&new);
        command.args(["init", "--quiet", "--bare", "--template="]);
        command.arg(format!("--object-format={}", format.as_str()));
        self.call(command, LITTLE, "making the mirror").await?;
        std::fs::rename(&new, &self.path).context("making the mirror")?;
        self.format(&self.path).await
    }

    async fn format(&self, path: &Path) -> anyhow::Result<Format> {
        let mut command = self.git.command(path);
        command.args(["rev-parse", "--show-object-format"]);
        let told = self.call(command, LITTLE, "reading the mirror's format").await?;
        match told.out.trim_ascii() {
            b"sha1" => Ok(Format::Sha1),
            b"sha256" => Ok(Format::Sha256),
            other => bail!("objects named by {} are not served", String::from_utf8_lossy(other)),
        }
    }

    async fn refs(&self) -> anyhow::Result<BTreeMap<String, ObjectId>> {
        let mut command = self.git.command(&self.path);
        command.args(["for-each-ref", FORMAT]);
        let listed = self.call(command, LISTING, "reading the mirror's refs").await?;
        Listing::of_mirror(&listed.out).context("the mirror's refs cannot be read")
    }

    async fn fetch(&self) -> anyhow::Result<()> {
        let _moving = self.moving.lock().await;
        let mut command = self.upstream.command(&self.git, &self.path);
        command.args([
            "fetch",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--progress",
            "--",
            self.upstream.url(),
            "+refs/*:refs/*",
        ]);
        let fetched = self.call(command, LITTLE, "fetching from upstream").await;
        if fetched.is_err() {
            // A fetch that was ended leaves its locks.
            self.unlock();
        }
        fetched.map(drop)
    }

    /// Lets the mirror's `HEAD` be where upstream's is.
    async fn follow(&self, head: &Head) -> anyhow::Result<Option<RefName>> {
        let mut command = self.git.command(&self.path);
        match head {
            Head::Nowhere => Ok(None),
            Head::On(branch) => {
                let now =
                    std::fs::read_to_string(self.path.join("HEAD")).context("reading the mirror's HEAD")?;
                let name: RefName = match branch.parse() {
                    Ok(name) => name,
                    // The branch cannot be pushed to either.
                    Err(_) => return Ok(None),
                };
                if now.trim_end() != format!("ref: {name}") {
                    command.args(["symbolic-ref", "HEAD", name.as_str()]);
                    self.call(command, LITTLE, "setting the mirror's HEAD").await?;
                }
                Ok(Some(name))
            }
            Head::At(object) => {
                command.args(["update-ref", "--no-deref", "HEAD", object.as_str()]);
                self.call(command, LITTLE, "setting the mirror's HEAD").await?;
                Ok(None)
            }
        }
    }

    /// Removes locks of calls that were ended. Nobody else moves anything while this is called.
    fn unlock(&self) {
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    // Loose objects have no locks, and there are many.
                    if name != "objects" {
                        folders.push(path);
                    }
                } else if name.ends_with(".lock") {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }

    async fn call(&self, command: Command, most: usize, doing: &'static str) -> anyhow::Result<Ended> {
        let hear = |line: &str| _ = self.told.send_replace(base::inert(line, 200));
        let ended = child::finish(command, b"", most, self.within, hear).await.context(doing)?;
        if ended.status.success() {
            return Ok(ended);
        }
        // What git says of every upstream that it cannot read helps nobody.
        let is_telling = |line: &&String| !ADVICE.iter().any(|advice| line.contains(advice));
        let telling: Vec<&str> = ended.complaints.iter().filter(is_telling).map(String::as_str).collect();
        let complaint = telling[telling.len().saturating_sub(TOLD)..].join("; ");
        if complaint.is_empty() {
            bail!("{doing}: git ended with {}", ended.status)
        } else {
            bail!("{doing}: {complaint}")
        }
    }
}
