//! Which launcher this is, and that it is the only one of its home.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base::id::LauncherId;
use base::lock::Locked;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Another process has it.
    #[error("another launcher runs with the home {}: stop it with `bot-bottle down`, or use another home", .0.display())]
    InUse(PathBuf),
    /// A file cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A home that this process has for itself. Whoever holds it may remove what earlier launchers of it left.
#[derive(Debug)]
pub struct OwnHome {
    id: LauncherId,
    _lock: Locked,
}

impl OwnHome {
    /// Takes the home, making its identity on first use. The kernel gives it back when the process ends.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn take(home: &Path) -> Result<Self, IdentityError> {
        let directory = home.join("launcher");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::File { path, source }
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(failed(&directory))?;
        let path = directory.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(failed(&path))?;
        let Some(lock) = Locked::alone(lock).map_err(failed(&path))? else {
            return Err(IdentityError::InUse(home.to_owned()));
        };
        let path = directory.join("id");
        Ok(Self { id: identity(&path).map_err(failed(&path))?, _lock: lock })
    }

    /// The launcher's lasting identity.
    #[must_use]
    pub fn id(&self) -> &LauncherId {
        &self.id
    }
}

/// The lasting identity of a home, whether or not somebody has it for themselves; made on first use.
///
/// # Errors
/// It cannot be read, or cannot be made.
pub fn lasting(home: &Path) -> io::Result<LauncherId> {
    let directory = home.join("launcher");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    identity(&directory.join("id"))
}

fn identity(path: &Path) -> io::Result<LauncherId> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = LauncherId::random();
            let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
            writeln!(file, "{id}")?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_launcher_a_home_with_one_lasting_identity() {
        let home = tempfile::tempdir().unwrap();
        let first = OwnHome::take(home.path()).unwrap();
        assert!(matches!(OwnHome::take(home.path()), Err(IdentityError::InUse(_))));
        let id = first.id().clone();
        drop(first);
        assert_eq!(OwnHome::take(home.path()).unwrap().id(), &id);
    }
}
