//! Where a bottle's files are on the host (L6).

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base::id::Slug;

use crate::trash::Trash;

/// The directory of all bottles' state: `<home>/state`.
#[derive(Clone, Debug)]
pub struct StateRoot(PathBuf);

impl StateRoot {
    /// Below the given bot-bottle home.
    #[must_use]
    pub fn below(home: &Path) -> Self {
        Self(home.join("state"))
    }

    /// One bottle's directory, whether or not it exists.
    #[must_use]
    pub fn of(&self, bottle: &Slug) -> StateDir {
        StateDir(self.0.join(bottle.as_str()))
    }

    /// Removes what removals that were interrupted have left; nothing else is removed meanwhile.
    ///
    /// # Errors
    /// The first thing that cannot be removed; everything else is.
    pub async fn empty_trash(&self) -> io::Result<()> {
        let trash = Trash::of(&self.0);
        off_the_runtime(move || trash.empty()).await
    }

    /// The bottles that have a directory.
    ///
    /// # Errors
    /// The directory exists and cannot be read.
    pub fn bottles(&self) -> io::Result<Vec<Slug>> {
        named_after_bottles(&self.0)
    }
}

/// The bottles after which something in a directory is named; none where there is no such directory.
///
/// # Errors
/// It cannot be read.
pub(crate) fn named_after_bottles(directory: &Path) -> io::Result<Vec<Slug>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let slugs = names.map(|name| name.map(|name| name.parse().ok()));
    slugs.filter_map(Result::transpose).collect()
}

/// One bottle's directory: mode 0700, the launcher's own.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// Makes it with everything below it.
    ///
    /// # Errors
    /// It exists already, or cannot be made.
    pub fn create(&self) -> io::Result<()> {
        if let Some(parent) = self.0.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        private_directory(&self.0)?;
        for directory in [self.home(), self.trust(), self.spool("egress"), self.spool("gitgate")] {
            private_directory(&directory)?;
        }
        Ok(())
    }

    /// Removes it with everything in it, whatever an agent made there; links are not followed. It is gone in one step,
    /// with its label; what was in it goes after.
    ///
    /// # Errors
    /// It cannot be taken away, and is as it was; or something in it cannot be removed, and waits for
    /// [`StateRoot::empty_trash`].
    pub async fn remove(&self) -> io::Result<()> {
        let path = self.0.clone();
        let trash = Trash::of(path.parent().unwrap_or(&path));
        off_the_runtime(move || trash.remove(&path)).await
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    /// Certificates that the agent reads.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.0.join("trust")
    }

    /// A sidecar's own directory.
    #[must_use]
    pub fn spool(&self, sidecar: &str) -> PathBuf {
        self.0.join(sidecar)
    }

    /// A sidecar's log.
    #[must_use]
    pub fn log(&self, sidecar: &str) -> PathBuf {
        self.0.join(format!("{sidecar}.log"))
    }

    /// What its session is, as long as that is to be stored; see [`crate::session`].
    #[must_use]
    pub fn session(&self) -> PathBuf {
        self.0.join("session.json")
    }

    /// A commit that is under way (L8).
    #[must_use]
    pub fn commit(&self) -> PathBuf {
        self.0.join("commit.json")
    }

    /// Who launched this bottle; there as long as something of it may exist.
    #[must_use]
    pub fn owner(&self) -> PathBuf {
        self.0.join("owner.json")
    }
}

/// Does what blocks where it holds nobody up.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}
