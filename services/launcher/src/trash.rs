//! Removing what an agent left, however it made it: any depth, any modes, any number of entries.
//!
//! A tree is first renamed to a place of its own in the trash, which is one step for everybody who looks. There each
//! directory is taken out of its parent before anybody looks into it, so that all are side by side: depth costs
//! neither stack nor descriptors.

use std::ffi::CStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmod, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::shared_place::make_in;

/// A directory itself, whatever its mode.
pub(crate) const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory in which trees are removed. It exists as long as something is in it.
#[derive(Clone, Debug)]
pub(crate) struct Trash(PathBuf);

impl Trash {
    /// The trash of a directory, on the same file system.
    pub(crate) fn of(directory: &Path) -> Self {
        Self(directory.join(".trash"))
    }

    /// Removes a tree; links are not followed, and what is not there is fine. Blocks.
    ///
    /// # Errors
    /// It cannot be taken, and is where it was; or something of it cannot be removed, and is in the trash.
    pub(crate) fn remove(&self, tree: &Path) -> io::Result<()> {
        let place = self.place()?;
        let taken = match fs::rename(tree, place.join("tree")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        taken.and(self.clear(&place))
    }

    /// Removes what removals that were interrupted have left. Nothing else is removed meanwhile. Blocks.
    ///
    /// # Errors
    /// The first thing that cannot be removed; everything else is.
    pub(crate) fn empty(&self) -> io::Result<()> {
        let places = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            places => places?,
        };
        let cleared = places.map(|place| self.clear(&place?.path()));
        cleared.fold(Ok(()), io::Result::and)
    }

    fn place(&self) -> io::Result<PathBuf> {
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let place = self.0.join(random_name());
            DirBuilder::new().mode(0o700).create(&place).map(|()| place)
        };
        make_in(make)
    }

    fn clear(&self, place: &Path) -> io::Result<()> {
        clear(&openat(CWD, place, DIRECTORY, Mode::empty())?)?;
        fs::remove_dir(place)?;
        // Refused as long as another removal has its place there.
        drop(fs::remove_dir(&self.0));
        Ok(())
    }
}

/// Empties a place. Directories that come up from below are dealt with in the next round, until one finds nothing, or
/// nothing that it can remove.
fn clear(place: &OwnedFd) -> io::Result<()> {
    loop {
        let (mut removed, mut failed) = (false, Ok(()));
        for entry in entries(place)? {
            match entry.and_then(|entry| dispose(place, entry.file_name())) {
                Ok(()) => removed = true,
                Err(error) => failed = Err(error.into()),
            }
        }
        if !removed {
            return failed;
        }
    }
}

/// Removes one entry of the place. What is in directories below it moves up.
fn dispose(place: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    let Some(directory) = unlink(place, name)? else { return Ok(()) };
    let mut failed = Ok(());
    for entry in entries(&directory)? {
        let moved = entry.and_then(|entry| match unlink(&directory, entry.file_name())? {
            Some(_) => renameat(&directory, entry.file_name(), place, random_name()),
            None => Ok(()),
        });
        failed = failed.and(moved);
    }
    failed.and_then(|()| unlinkat(place, name, AtFlags::REMOVEDIR))
}

/// Removes a file, a link or an empty directory; a directory with something in it is made accessible and returned.
fn unlink(parent: &OwnedFd, name: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        done => return done.map(|()| None),
    }
    if unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(None);
    }
    let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
    make_accessible(&directory, Mode::RWXU)?;
    Ok(Some(directory))
}

/// Changes the mode through a descriptor, which no link can lead astray; `fchmod` does not take one that only stands for a
/// path.
pub(crate) fn make_accessible(file: &OwnedFd, mode: Mode) -> rustix::io::Result<()> {
    chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)
}

/// The entries of a directory but itself and its parent.
pub(crate) fn entries(
    directory: impl AsFd,
) -> rustix::io::Result<impl Iterator<Item = rustix::io::Result<rustix::fs::DirEntry>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = Dir::new(openat(directory, c".", flags, Mode::empty())?)?;
    let own = |name: &CStr| matches!(name.to_bytes(), b"." | b"..");
    Ok(entries.filter(move |entry| !entry.as_ref().is_ok_and(|entry| own(entry.file_name()))))
}

fn random_name() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::mkdirat;
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    /// Directories in one another, deeper than any path can say.
    fn nest(top: &Path, depth: usize) {
        let mut here: OwnedFd = fs::File::open(top).unwrap().into();
        for _ in 0..depth {
            mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = openat(&here, "d", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("tree");
        fs::create_dir(&tree).unwrap();
        nest(&tree, 16_000);
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        let trash = Trash::of(home.path());
        small.spawn(move || trash.remove(&tree).unwrap()).unwrap().join().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn modes_do_not_matter_and_links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (tree, other) = (home.path().join("tree"), home.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/c"), "").unwrap();
        fs::create_dir_all(other.join("kept")).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o750)).unwrap();
        symlink(&other, tree.join("a/link")).unwrap();
        for path in ["a/b", "a", ""] {
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(0o000)).unwrap();
        }
        fs::set_permissions(&tree, fs::Permissions::from_mode(0o700)).unwrap();
        let trash = Trash::of(home.path());
        let as_anybody = std::thread::spawn(move || {
            let mut own = capabilities(None).unwrap();
            own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
            set_capabilities(None, own).unwrap();
            assert!(fs::read_dir(tree.join("a")).is_err());
            trash.remove(&tree)
        });
        as_anybody.join().unwrap().unwrap();
        assert!(other.join("kept").is_dir());
        assert_eq!(other.metadata().unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_an_interrupted_removal_left_goes_too() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".trash/0/tree/a/b/c")).unwrap();
        fs::create_dir_all(home.path().join(".trash/1")).unwrap();
        let trash = Trash::of(home.path());
        trash.remove(&home.path().join("no such tree")).unwrap();
        assert!(home.path().join(".trash/0/tree").exists());
        trash.empty().unwrap();
        trash.empty().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
