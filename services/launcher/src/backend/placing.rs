//! Putting a file into a directory in which an agent may have been: its home is filled from an earlier run's transcript
//! or from somebody's workspace before this. No link is gone through.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, mkdirat, openat, openat2, unlinkat,
};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Writes a file below `root`, with the directories on the way to it. A file or link of that name is replaced. What is new
/// belongs to `user`, if there is one.
///
/// # Errors
/// The path is not a plain relative one, a link or a file is on the way, a directory in its place, or the system's own.
pub(super) fn place(
    root: &Path,
    path: &Path,
    content: &[u8],
    mode: u32,
    user: Option<u32>,
) -> io::Result<()> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let (Some(name), true) = (path.file_name(), plain) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not a plain relative one"));
    };
    let mut here = openat(CWD, root, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        let made = mkdirat(&here, part.as_os_str(), Mode::RWXU);
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        here = match made {
            Ok(()) | Err(Errno::EXIST) => openat2(&here, part.as_os_str(), DIRECTORY, Mode::empty(), inside)?,
            Err(error) => return Err(error.into()),
        };
        if made.is_ok() {
            give(&here, user)?;
        }
    }
    match unlinkat(&here, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file: OwnedFd = openat(&here, name, flags, Mode::RUSR | Mode::WUSR)?;
    fchmod(&file, Mode::from_raw_mode(mode))?;
    give(&file, user)?;
    File::from(file).write_all(content)
}

fn give(what: impl AsFd, user: Option<u32>) -> rustix::io::Result<()> {
    user.map_or(Ok(()), |user| fchown(what, Some(Uid::from_raw(user)), Some(Gid::from_raw(user))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_an_agent_left_is_replaced_and_leads_nowhere() {
        let place_dir = tempfile::tempdir().unwrap();
        let (home, outside) = (place_dir.path().join("home"), place_dir.path().join("outside"));
        fs::create_dir_all(home.join("dir")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "of the host").unwrap();
        fs::write(home.join("old"), "of an agent").unwrap();
        symlink(outside.join("file"), home.join("link")).unwrap();
        symlink(&outside, home.join("way")).unwrap();
        let put = |path: &str| place(&home, Path::new(path), b"ours", 0o600, None);
        for path in ["new/deep/file", "old", "link"] {
            put(path).unwrap();
            assert_eq!(fs::read(home.join(path)).unwrap(), b"ours", "{path}");
            assert!(!home.join(path).symlink_metadata().unwrap().is_symlink(), "{path}");
        }
        for path in ["way/file", "way/new/file", "old/file", "dir", "../outside/file", "/tmp/x", ""] {
            assert!(put(path).is_err(), "{path}");
        }
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"of the host");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
