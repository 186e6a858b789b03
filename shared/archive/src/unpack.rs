//! From an archive to a tree.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, fchmod, futimens, openat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};
use zstd::stream::read::Decoder;

use crate::beneath;
use crate::error::UnpackError;
use crate::format::{AROUND, LONGEST};
use crate::rules::{Contents, Limits, Odd};

/// The largest window that a stream may ask for, as a power of two; it is that much memory.
const WINDOW: u32 = 23;

/// Unpacks an archive into the directory `into` below `root`, which is made where it is missing. Everything belongs to
/// whoever calls; set-id bits are dropped. A file or link that is there already is replaced, a directory stays. No link is
/// gone through, whether it was there before or comes with the archive; symbolic links are made if `links` says
/// [`Odd::Keep`], and are an error otherwise.
///
/// # Errors
/// [`UnpackError`]; what was unpacked until then stays.
pub fn unpack<R: Read>(
    archive: R,
    root: &Path,
    into: &Path,
    links: Odd,
    limits: Limits,
) -> Result<Contents, UnpackError> {
    let make = |error: Errno| UnpackError::Make { path: into.to_owned(), source: error.into() };
    let plain = beneath::plain(into).ok_or_else(|| UnpackError::Path(into.to_owned()))?;
    let top = beneath::top(root).and_then(|root| beneath::made(root, &plain)).map_err(make)?;
    let mut decoder = Decoder::new(archive).map_err(UnpackError::Archive)?;
    decoder.window_log_max(WINDOW).map_err(UnpackError::Archive)?;
    let most = limits.bytes.saturating_add(limits.entries.saturating_add(1).saturating_mul(AROUND));
    let mut stream = decoder.take(most);
    let contents =
        entries(&mut stream, Unpacker { top, links, limits, contents: Contents::default(), parent: None })?;
    // The checksum stands at the end.
    let rest = io::copy(&mut stream, &mut io::sink()).map_err(UnpackError::Archive);
    match rest {
        Ok(_) if stream.limit() == 0 => Err(UnpackError::OverLimit(limits)),
        Ok(_) => Ok(contents),
        Err(error) => Err(error),
    }
}

fn entries(stream: impl Read, mut unpacker: Unpacker) -> Result<Contents, UnpackError> {
    let mut archive = Archive::new(stream);
    // Raw: names come as they are, and extensions are entries like any other, which are refused.
    let raw = archive.entries().map_err(UnpackError::Archive)?.raw(true);
    let mut long = Long::default();
    for entry in raw {
        let mut entry = entry.map_err(UnpackError::Archive)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => long.name = Some(text(&mut entry)?),
            EntryType::GNULongLink => long.link = Some(text(&mut entry)?),
            kind => unpacker.entry(kind, &mut entry, std::mem::take(&mut long))?,
        }
    }
    Ok(unpacker.contents)
}

/// Names that did not fit into the header that follows.
#[derive(Default)]
struct Long {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

fn text<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, UnpackError> {
    if entry.size() > LONGEST as u64 {
        return Err(UnpackError::Path(PathBuf::from("././@LongLink")));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(UnpackError::Archive)?;
    while text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

struct Unpacker {
    top: OwnedFd,
    links: Odd,
    limits: Limits,
    contents: Contents,
    /// The directory of the entry before, in which the next one often is.
    parent: Option<(PathBuf, OwnedFd)>,
}

impl Unpacker {
    fn entry<R: Read>(
        &mut self,
        kind: EntryType,
        entry: &mut Entry<'_, R>,
        long: Long,
    ) -> Result<(), UnpackError> {
        let name = long.name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let given = PathBuf::from(OsStr::from_bytes(&name));
        let bad = name.len() >= LONGEST || name.contains(&0);
        let path = beneath::plain(&given).filter(|_| !bad).ok_or_else(|| UnpackError::Path(given.clone()))?;
        let over = self.contents.entries() >= self.limits.entries
            || entry.size() > self.limits.bytes - self.contents.bytes;
        if over {
            return Err(UnpackError::OverLimit(self.limits));
        }
        let failed = |source: io::Error| UnpackError::Make { path: path.clone(), source };
        match kind {
            EntryType::Directory => {
                self.directory(&path, mode(entry)).map_err(failed)?;
                self.contents.directories += 1;
            }
            // Everything but a directory needs a name in one.
            _ if path.file_name().is_none() => return Err(UnpackError::Path(given)),
            EntryType::Regular => {
                let file = self.file(&path).map_err(failed)?;
                self.contents.bytes += fill(file, entry, &path)?;
                self.contents.files += 1;
            }
            EntryType::Symlink if self.links == Odd::Keep => {
                let target = long.link.or_else(|| entry.link_name_bytes().map(|name| name.into_owned()));
                self.link(&path, &target.unwrap_or_default()).map_err(failed)?;
                self.contents.links += 1;
            }
            EntryType::Symlink => return Err(UnpackError::Kind { path, kind: "symbolic link".to_owned() }),
            kind => {
                let kind = kind.as_byte().escape_ascii().to_string();
                return Err(UnpackError::Kind { path, kind });
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, mode: Mode) -> io::Result<()> {
        let directory = beneath::made(&self.top, path)?;
        // Its owner goes on filling it.
        fchmod(&directory, mode | Mode::RWXU)?;
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let (parent, name) = self.parent(path)?;
        remove(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    fn link(&mut self, path: &Path, target: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        remove(parent, name)?;
        Ok(symlinkat(OsStr::from_bytes(target), parent, name)?)
    }

    fn parent<'a>(&mut self, path: &'a Path) -> io::Result<(&OwnedFd, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let above = path.parent().unwrap_or(Path::new(""));
        if self.parent.as_ref().is_none_or(|(path, _)| path != above) {
            self.parent = Some((above.to_owned(), beneath::made(&self.top, above)?));
        }
        let parent = self.parent.as_ref().map(|(_, parent)| parent);
        Ok((parent.ok_or(io::ErrorKind::NotFound)?, name))
    }
}

fn remove(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

fn mode<R: Read>(entry: &Entry<'_, R>) -> Mode {
    // A header without a mode that can be read is no reason to refuse what is in the entry.
    Mode::from_raw_mode(entry.header().mode().unwrap_or(0o600) & 0o777)
}

fn fill<R: Read>(file: OwnedFd, entry: &mut Entry<'_, R>, path: &Path) -> Result<u64, UnpackError> {
    let failed = |source: io::Error| UnpackError::Make { path: path.to_owned(), source };
    let (size, mode) = (entry.size(), mode(entry));
    let mtime = entry.header().mtime().unwrap_or(0);
    let mut file = File::from(file);
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    while filled < size {
        let read = entry.read(&mut buffer).map_err(UnpackError::Archive)?;
        if read == 0 {
            return Err(UnpackError::Archive(io::ErrorKind::UnexpectedEof.into()));
        }
        io::Write::write_all(&mut file, &buffer[..read]).map_err(failed)?;
        filled += read as u64;
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 },
    };
    let done = fchmod(&file, mode | Mode::RUSR).and_then(|()| futimens(&file, &times));
    done.map_err(|error| failed(error.into()))?;
    Ok(size)
}
