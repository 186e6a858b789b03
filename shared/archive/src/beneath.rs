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
    inside(top, path, DIRECTORY)
}

/// A file below `top`, opened so that no pipe makes the caller wait.
pub(crate) fn file(top: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    inside(top, path, flags)
}

fn inside(top: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    match openat2(&top, path, flags, Mode::empty(), INSIDE) {
        // gVisor has no such call.
        Err(Errno::NOSYS) => step_by_step(top, path, flags),
        opened => opened,
    }
}

/// The same one part after the other: what is open cannot be exchanged for something else, and no part is a link.
fn step_by_step(top: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut here = openat(&top, ".", DIRECTORY, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let (Component::Normal(name), last) = (part, parts.peek().is_none()) else {
            if part == Component::CurDir {
                continue;
            }
            return Err(Errno::XDEV);
        };
        let flags = if last { flags } else { DIRECTORY };
        here = openat(&here, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(here)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_by_step_reaches_the_same_and_no_more() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("top");
        std::fs::create_dir_all(below.join("a/b")).unwrap();
        std::fs::write(below.join("a/b/file"), "text").unwrap();
        std::fs::write(place.path().join("outside"), "text").unwrap();
        for (to, link) in [("a", "link"), ("..", "up"), ("../outside", "out"), ("/", "root")] {
            std::os::unix::fs::symlink(to, below.join(link)).unwrap();
        }
        let top = top(&below).unwrap();
        let read = OFlags::RDONLY | OFlags::NOFOLLOW;
        for (path, flags, opens) in [
            ("a/b", DIRECTORY, true),
            (".", DIRECTORY, true),
            ("a/b/file", read, true),
            ("./a/b/file", read, true),
            ("a/b/file", DIRECTORY, false),
            ("a/b/none", read, false),
            ("link", DIRECTORY, false),
            ("link/b/file", read, false),
            ("a/../a", DIRECTORY, false),
            ("..", DIRECTORY, false),
            ("up/outside", read, false),
            ("out", read, false),
            ("root/etc", DIRECTORY, false),
            ("/etc", DIRECTORY, false),
        ] {
            let path = Path::new(path);
            assert_eq!(step_by_step(&top, path, flags).is_ok(), opens, "{}", path.display());
            // A path that leaves and comes back is refused here and need not be there.
            let same = inside(&top, path, flags).is_ok();
            assert!(same == opens || path == Path::new("a/../a"), "{}", path.display());
        }
    }
}
