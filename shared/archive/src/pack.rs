//! From a tree to an archive.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, fstat};
use tar::EntryType;
use zstd::stream::write::Encoder;

use crate::beneath;
use crate::error::PackError;
use crate::format::{self, LONGEST, Meta};
use crate::rules::{Contents, Rules};
use crate::walk::{Reading, Taken, Visit, changed, walk};

/// A compression that keeps up with a disk.
const LEVEL: i32 = 3;

/// Packs what is at and below these paths, which are relative to `root`, and writes the archive to `to`. A path that is
/// not there is passed over; the empty one stands for all that is in `root`. No link is followed on the way, whoever
/// changes the tree meanwhile.
///
/// # Errors
/// [`PackError`]; what was written until then is no archive.
pub fn pack<W: Write>(root: &Path, paths: &[PathBuf], rules: &Rules, to: W) -> Result<Contents, PackError> {
    let mut encoder = Encoder::new(to, LEVEL).map_err(PackError::Write)?;
    // So that an archive that was damaged on its way is noticed by whoever unpacks it.
    encoder.include_checksum(true).map_err(PackError::Write)?;
    let mut packer = Packer { to: encoder };
    let contents = walk(root, paths, rules, &mut packer)?;
    format::end(&mut packer.to).map_err(PackError::Write)?;
    let mut to = packer.to.finish().map_err(PackError::Write)?;
    to.flush().map_err(PackError::Write)?;
    Ok(contents)
}

/// What [`pack`] would pack. No file is opened.
///
/// # Errors
/// What [`pack`] would fail with, except for files that cannot be read.
pub fn survey(root: &Path, paths: &[PathBuf], rules: &Rules) -> Result<Contents, PackError> {
    walk(root, paths, rules, &mut Surveyor)
}

struct Surveyor;

impl Visit for Surveyor {
    fn directory(&mut self, _: &Path, _: &Stat) -> Result<(), PackError> {
        Ok(())
    }

    fn file(&mut self, _: &OwnedFd, _: &Path, stat: &Stat, _: Reading) -> Result<Taken, PackError> {
        Ok(Taken::Whole(u64::try_from(stat.st_size).unwrap_or(0)))
    }

    fn link(&mut self, _: &Path, _: &OsStr, _: &Stat) -> Result<(), PackError> {
        Ok(())
    }
}

struct Packer<W: Write> {
    to: Encoder<'static, W>,
}

impl<W: Write> Packer<W> {
    fn header(&mut self, path: &Path, link: &OsStr, meta: &Meta) -> Result<(), PackError> {
        if path.as_os_str().len() >= LONGEST || link.len() >= LONGEST {
            return Err(PackError::Path(path.to_owned()));
        }
        format::header(&mut self.to, path, link, meta).map_err(PackError::Write)
    }
}

impl<W: Write> Visit for Packer<W> {
    fn directory(&mut self, path: &Path, stat: &Stat) -> Result<(), PackError> {
        self.header(path, OsStr::new(""), &meta(EntryType::Directory, stat, 0))
    }

    fn file(&mut self, top: &OwnedFd, path: &Path, _: &Stat, how: Reading) -> Result<Taken, PackError> {
        let opened = beneath::file(top, path).map_err(changed(path));
        // What was looked at by name may be something else by now; what is open stays what it is.
        let opened = opened.and_then(|file| Ok((fstat(&file).map_err(changed(path))?, file)));
        let (stat, file) = match opened {
            Err(PackError::Changed(_)) if how.in_use => return Ok(Taken::Gone),
            opened => opened?,
        };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if size <= how.left => {}
            kind if kind != FileType::RegularFile && how.in_use => return Ok(Taken::Gone),
            _ => return Err(PackError::Changed(path.to_owned())),
        }
        self.header(path, OsStr::new(""), &meta(EntryType::Regular, &stat, size))?;
        let mut content = File::from(file).take(size);
        let copied = copy(&mut content, &mut self.to, path)?;
        if copied != size && !how.in_use {
            return Err(PackError::Changed(path.to_owned()));
        }
        // Its size stands before it.
        let filled =
            io::copy(&mut io::repeat(0).take(size - copied), &mut self.to).map_err(PackError::Write)?;
        format::padding(&mut self.to, size).map_err(PackError::Write)?;
        Ok(if filled == 0 { Taken::Whole(size) } else { Taken::Filled(size) })
    }

    fn link(&mut self, path: &Path, target: &OsStr, stat: &Stat) -> Result<(), PackError> {
        self.header(path, target, &meta(EntryType::Symlink, stat, 0))
    }
}

fn meta(kind: EntryType, stat: &Stat, size: u64) -> Meta {
    let mtime = u64::try_from(stat.st_mtime).unwrap_or(0);
    Meta { kind, mode: stat.st_mode & 0o777, mtime, size }
}

/// As [`io::copy`], but it tells which of the two sides failed.
fn copy(from: &mut impl io::Read, to: &mut impl Write, path: &Path) -> Result<u64, PackError> {
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(PackError::Read { path: path.to_owned(), source }),
        };
        to.write_all(&buffer[..read]).map_err(PackError::Write)?;
        copied += read as u64;
    }
}
