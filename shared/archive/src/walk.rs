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
use crate::format::LONGEST;
use crate::rules::{Contents, Odd, Rules};

/// What is done with what is found.
pub(crate) trait Visit {
    /// A directory, before what is in it.
    fn directory(&mut self, path: &Path, stat: &Stat) -> Result<(), PackError>;
    /// A regular file below `top`.
    fn file(&mut self, top: &OwnedFd, path: &Path, stat: &Stat, how: Reading) -> Result<Taken, PackError>;
    /// A symbolic link that is kept.
    fn link(&mut self, path: &Path, target: &OsStr, stat: &Stat) -> Result<(), PackError>;
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The most bytes that it may have.
    pub(crate) left: u64,
    /// See [`Rules::in_use`].
    pub(crate) in_use: bool,
}

/// What was taken of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All its bytes.
    Whole(u64),
    /// As many bytes, of which the last are not the file's.
    Filled(u64),
    /// Nothing: it is not there any more.
    Gone,
}

/// A directory of which these names, the last first, are left to visit.
struct Open {
    path: PathBuf,
    names: Vec<Vec<u8>>,
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
        let mut open = Vec::new();
        match path.file_name() {
            None => open.extend(self.open(PathBuf::new())?),
            Some(name) => {
                let above = path.parent().unwrap_or(Path::new(""));
                let parent = match beneath::directory(&self.top, above) {
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                    // A link on the way is what the agent made of a directory.
                    Err(Errno::LOOP) => return self.odd(path, "symbolic link", self.rules.links),
                    parent => parent.map_err(|error| unreadable(path, error))?,
                };
                if let Some(path) = self.entry(&parent, name, path.to_owned())? {
                    open.extend(self.open(path)?);
                }
            }
        }
        while let Some(here) = open.pop() {
            open.extend(self.below(here)?);
        }
        Ok(())
    }

    /// Visits what is left in a directory, up to the next directory in it; then both are to be gone on with.
    fn below(&mut self, mut here: Open) -> Result<Vec<Open>, PackError> {
        let Some(directory) = self.directory(&here.path)? else { return Ok(Vec::new()) };
        while let Some(name) = here.names.pop() {
            let name = OsStr::from_bytes(&name);
            if let Some(path) = self.entry(&directory, name, here.path.join(name))? {
                return Ok([Some(here), self.open(path)?].into_iter().flatten().collect());
            }
        }
        Ok(Vec::new())
    }

    fn open(&mut self, path: PathBuf) -> Result<Option<Open>, PackError> {
        let Some(directory) = self.directory(&path)? else { return Ok(None) };
        let names = self.names(&directory, &path)?;
        Ok(Some(Open { path, names }))
    }

    /// A directory that was there a moment ago.
    fn directory(&mut self, path: &Path) -> Result<Option<OwnedFd>, PackError> {
        match beneath::directory(&self.top, path) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) => self.pass_over(path, error).map(|()| None),
        }
    }

    /// What is done about something that cannot be read, now or at all.
    fn pass_over(&mut self, path: &Path, error: Errno) -> Result<(), PackError> {
        match error {
            error if !self.rules.in_use => Err(unreadable(path, error)),
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => Ok(()),
            Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG => {
                self.contents.torn += 1;
                Ok(())
            }
            error => Err(unreadable(path, error)),
        }
    }

    /// Sorted, the last first, so that one tree makes one archive.
    fn names(&self, directory: &OwnedFd, path: &Path) -> Result<Vec<Vec<u8>>, PackError> {
        let failed = |error| unreadable(path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
            if names.len() as u64 + self.contents.entries() > self.rules.limits.entries {
                return Err(PackError::OverLimit(self.rules.limits));
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(names)
    }

    /// One entry. A directory is returned, to be looked into.
    fn entry(&mut self, parent: &OwnedFd, name: &OsStr, path: PathBuf) -> Result<Option<PathBuf>, PackError> {
        let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It was there a moment ago, or it is a named path that nobody made.
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return self.pass_over(&path, error).map(|()| None),
            Ok(stat) => stat,
        };
        if self.contents.entries() >= self.rules.limits.entries {
            return Err(PackError::OverLimit(self.rules.limits));
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if self.fits(&path)? {
                    self.visit.directory(&path, &stat)?;
                    self.contents.directories += 1;
                    return Ok(Some(path));
                }
            }
            FileType::RegularFile => {
                let left = self.rules.limits.bytes - self.contents.bytes;
                if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > left {
                    return Err(PackError::OverLimit(self.rules.limits));
                }
                if self.fits(&path)? {
                    self.file(&path, &stat, left)?;
                }
            }
            FileType::Symlink if self.rules.links == Odd::Keep => match target(parent, name) {
                Ok(target) => {
                    if self.fits(&path)? {
                        self.visit.link(&path, OsStr::from_bytes(&target), &stat)?;
                        self.contents.links += 1;
                    }
                }
                // It is something else by now.
                Err(Errno::INVAL) if self.rules.in_use => {}
                Err(error) => self.pass_over(&path, error)?,
            },
            FileType::Symlink => self.odd(&path, "symbolic link", self.rules.links)?,
            FileType::Socket => self.odd(&path, "socket", self.rules.specials)?,
            FileType::Fifo => self.odd(&path, "pipe", self.rules.specials)?,
            _ => self.odd(&path, "device", self.rules.specials)?,
        }
        Ok(None)
    }

    fn file(&mut self, path: &Path, stat: &Stat, left: u64) -> Result<(), PackError> {
        let in_use = self.rules.in_use;
        let bytes = match self.visit.file(&self.top, path, stat, Reading { left, in_use }) {
            Ok(Taken::Whole(bytes)) => bytes,
            Ok(Taken::Filled(bytes)) => {
                self.contents.torn += 1;
                bytes
            }
            Ok(Taken::Gone) => return Ok(()),
            Err(PackError::Read { source, .. })
                if in_use && source.kind() == io::ErrorKind::PermissionDenied =>
            {
                self.contents.torn += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.contents.bytes += bytes;
        self.contents.files += 1;
        Ok(())
    }

    /// Whether the kernel, and so whoever unpacks it, takes a path of this length.
    fn fits(&mut self, path: &Path) -> Result<bool, PackError> {
        let fits = path.as_os_str().len() < LONGEST;
        if !fits {
            self.pass_over(path, Errno::NAMETOOLONG)?;
        }
        Ok(fits)
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
