//! Opening what lies below a directory, never through a link.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The directory that everything else is below. Only its last part may not be a link.
pub(crate) fn top(path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// A directory below `top`, which an empty path stands for.
pub(crate) fn directory(top: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    openat2(top, path, DIRECTORY, Mode::empty(), INSIDE)
}

/// A file below `top`, opened so that no pipe makes the caller wait.
pub(crate) fn file(top: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat2(top, path, flags, Mode::empty(), INSIDE)
}

/// A directory below `top` that is made, with all above it, where it is missing.
pub(crate) fn made(top: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    match directory(&top, path) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    let mut here = directory(&top, Path::new(""))?;
    for part in path.components() {
        match mkdirat(&here, part.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        here = directory(&here, Path::new(part.as_os_str()))?;
    }
    Ok(here)
}

/// A path in its one form, without `.` and doubled slashes; nothing if it is absolute or goes up. It may be empty.
pub(crate) fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}
