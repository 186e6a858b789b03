//! Walking a tree that somebody else made, and may be changing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Stat, readlinkat, statat};
use rustix::io::Errno;

use crate::beneath;
use crate::error::PackError;
use crate::rules::{Contents, Odd, Rules};

/// What is done with what is found.
pub(crate) trait Visit {
    /// A directory, before what is in it.
    fn directory(&mut self, path: &Path, stat: &Stat) -> Result<(), PackError>;
    /// A regular file below `top`; returns its bytes, of which there are at most `left`.
    fn file(&mut self, top: &OwnedFd, path: &Path, stat: &Stat, left: u64) -> Result<u64, PackError>;
    /// A symbolic link that is kept.
    fn link(&mut self, path: &Path, target: &OsStr, stat: &Stat) -> Result<(), PackError>;
}

struct Walk<'a, V> {
    top: OwnedFd,
    rules: &'a Rules,
    visit: &'a mut V,
    contents: Contents,
}

/// Visits everything at and below these paths, each directory before what is in it. A path that is not there is passed
/// over; the empty one stands for all that is in `root`.
pub(crate) fn walk<V: Visit>(
    root: &Path,
    paths: &[PathBuf],
    rules: &Rules,
    visit: &mut V,
) -> Result<Contents, PackError> {
    let top = beneath::top(root).map_err(|error| unreadable(root, error))?;
    let mut walk = Walk { top, rules, visit, contents: Contents::default() };
    for path in paths {
        let plain = beneath::plain(path).ok_or_else(|| PackError::Path(path.clone()))?;
        walk.named(&plain)?;
    }
    Ok(walk.contents)
}

fn unreadable(path: &Path, error: Errno) -> PackError {
    PackError::Read { path: path.to_owned(), source: error.into() }
}

impl<V: Visit> Walk<'_, V> {
    fn named(&mut self, path: &Path) -> Result<(), PackError> {
        let mut left = Vec::new();
        match path.file_name() {
            None => left.push(PathBuf::new()),
            Some(name) => {
                let above = path.parent().unwrap_or(Path::new(""));
                let parent = match beneath::directory(&self.top, above) {
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                    // A link on the way is what the agent made of a directory.
                    Err(Errno::LOOP) => return self.odd(path, "symbolic link", self.rules.links),
                    parent => parent.map_err(|error| unreadable(path, error))?,
                };
                left.extend(self.entry(&parent, name, path.to_owned())?);
            }
        }
        while let Some(path) = left.pop() {
            let directory = beneath::directory(&self.top, &path).map_err(|error| unreadable(&path, error))?;
            let below: Vec<_> = self
                .names(&directory, &path)?
                .into_iter()
                .map(|name| {
                    self.entry(&directory, OsStr::from_bytes(&name), path.join(OsStr::from_bytes(&name)))
                })
                .collect::<Result<_, _>>()?;
            left.extend(below.into_iter().flatten().rev());
        }
        Ok(())
    }

    /// Sorted, so that one tree makes one archive.
    fn names(&self, directory: &OwnedFd, path: &Path) -> Result<Vec<Vec<u8>>, PackError> {
        let failed = |error| unreadable(path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
            if names.len() as u64 > self.rules.limits.entries {
                return Err(PackError::OverLimit(self.rules.limits));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// One entry. A directory is returned, to be looked into.
    fn entry(&mut self, parent: &OwnedFd, name: &OsStr, path: PathBuf) -> Result<Option<PathBuf>, PackError> {
        let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It was there a moment ago, or it is a named path that nobody made.
            Err(Errno::NOENT) => return Ok(None),
            stat => stat.map_err(|error| unreadable(&path, error))?,
        };
        if self.contents.entries() >= self.rules.limits.entries {
            return Err(PackError::OverLimit(self.rules.limits));
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.visit.directory(&path, &stat)?;
                self.contents.directories += 1;
                return Ok(Some(path));
            }
            FileType::RegularFile => {
                let left = self.rules.limits.bytes - self.contents.bytes;
                if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > left {
                    return Err(PackError::OverLimit(self.rules.limits));
                }
                self.contents.bytes += self.visit.file(&self.top, &path, &stat, left)?;
                self.contents.files += 1;
            }
            FileType::Symlink if self.rules.links == Odd::Keep => {
                let target = target(parent, name).map_err(|error| unreadable(&path, error))?;
                self.visit.link(&path, OsStr::from_bytes(&target), &stat)?;
                self.contents.links += 1;
            }
            FileType::Symlink => self.odd(&path, "symbolic link", self.rules.links)?,
            FileType::Socket => self.odd(&path, "socket", self.rules.specials)?,
            FileType::Fifo => self.odd(&path, "pipe", self.rules.specials)?,
            _ => self.odd(&path, "device", self.rules.specials)?,
        }
        Ok(None)
    }

    fn odd(&mut self, path: &Path, kind: &'static str, rule: Odd) -> Result<(), PackError> {
        if rule == Odd::Refuse {
            return Err(PackError::Odd { path: path.to_owned(), kind });
        }
        self.contents.skipped += 1;
        Ok(())
    }
}

fn target(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<Vec<u8>> {
    readlinkat(parent, name, Vec::new()).map(|target| target.into_bytes())
}

/// What the system says when something is not what it was a moment ago.
pub(crate) fn changed(path: &Path) -> impl FnOnce(Errno) -> PackError {
    |error| match error {
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => PackError::Changed(path.to_owned()),
        error => PackError::Read { path: path.to_owned(), source: io::Error::from(error) },
    }
}
