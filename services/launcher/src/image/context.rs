//! The files that go to the engine with a Dockerfile: those it names, no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

const MOST_FILES: usize = 2000;
const MOST_BYTES: u64 = 64 << 20;
const DEEPEST: usize = 32;

/// Why the files beside a Dockerfile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// One cannot be read.
    #[error("cannot read {path} beside the Dockerfile")]
    Unreadable {
        /// Its path, as the Dockerfile writes it.
        path: String,
        /// Why; a link on the way is a reason.
        #[source]
        source: io::Error,
    },
    /// One is no file and no directory.
    #[error("{0} is neither a file nor a directory; links are not followed")]
    Special(String),
    /// There is too much.
    #[error("the Dockerfile names more than {MOST_FILES} files, {} MiB or {DEEPEST} levels: copy less, or fetch it in a RUN", MOST_BYTES >> 20)]
    TooMuch,
}

/// A file of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContextFile {
    pub(super) executable: bool,
    pub(super) content: Vec<u8>,
}

/// Files by their path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) files: BTreeMap<String, ContextFile>,
    size: u64,
}

impl Context {
    /// Reads these files and directories below a directory. Blocks.
    ///
    /// # Errors
    /// [`ContextError`]
    pub(super) fn read(directory: &Path, sources: &BTreeSet<String>) -> Result<Self, ContextError> {
        let mut context = Self::default();
        if sources.is_empty() {
            return Ok(context);
        }
        let unreadable = |error: rustix::io::Errno| ContextError::Unreadable {
            path: directory.display().to_string(),
            source: error.into(),
        };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = openat(CWD, directory, flags, Mode::empty()).map_err(unreadable)?;
        for source in sources {
            context.take(&root, source, 0)?;
        }
        Ok(context)
    }

    fn take(&mut self, root: &OwnedFd, path: &str, depth: usize) -> Result<(), ContextError> {
        let unreadable =
            |source: io::Error| ContextError::Unreadable { path: base::inert(path, 200), source };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let opened = openat2(root, path, flags, Mode::empty(), within).map_err(|e| unreadable(e.into()))?;
        let status = fstat(&opened).map_err(|e| unreadable(e.into()))?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => {
                let room = MOST_BYTES - self.size;
                let mut content = Vec::new();
                File::from(opened).take(room + 1).read_to_end(&mut content).map_err(unreadable)?;
                self.size += content.len() as u64;
                if content.len() as u64 > room || self.files.len() == MOST_FILES {
                    return Err(ContextError::TooMuch);
                }
                let executable = status.st_mode & 0o100 != 0;
                self.files.insert(path.to_owned(), ContextFile { executable, content });
                Ok(())
            }
            FileType::Directory if depth < DEEPEST => {
                for name in names(opened).map_err(unreadable)? {
                    self.take(root, &format!("{path}/{name}"), depth + 1)?;
                }
                Ok(())
            }
            FileType::Directory => Err(ContextError::TooMuch),
            _ => Err(ContextError::Special(base::inert(path, 200))),
        }
    }

    /// One more file, whose path nothing of it has.
    pub(super) fn add(&mut self, path: &str, content: Vec<u8>) {
        self.files.insert(path.to_owned(), ContextFile { executable: false, content });
    }

    /// A tar archive that depends on nothing else.
    ///
    /// # Errors
    /// A path is too long for one.
    pub(super) fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, file) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(if file.executable { 0o755 } else { 0o644 });
            header.set_mtime(0);
            archive.append_data(&mut header, path, file.content.as_slice())?;
        }
        archive.into_inner()
    }
}

fn names(directory: OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) if names.len() <= MOST_FILES => names.push(name.to_owned()),
            Ok(_) => break,
            Err(_) => return Err(io::Error::other("a name in it is not UTF-8")),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(directory: &Path, sources: &[&str]) -> Result<Context, ContextError> {
        Context::read(directory, &sources.iter().map(|&source| source.to_owned()).collect())
    }

    #[test]
    fn only_what_is_named_is_read_and_no_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("d/e")).unwrap();
        for (path, text) in [("a", "A"), ("d/e/f", "F"), ("secret", "S")] {
            std::fs::write(place.path().join(path), text).unwrap();
        }
        let context = read(place.path(), &["a", "d"]).unwrap();
        assert_eq!(context.files.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "d/e/f"]);
        assert_eq!(context.archive().unwrap(), read(place.path(), &["d", "a"]).unwrap().archive().unwrap());
        std::os::unix::fs::symlink("../../secret", place.path().join("d/e/link")).unwrap();
        let error = read(place.path(), &["d"]).unwrap_err();
        assert!(matches!(&error, ContextError::Unreadable { path, .. } if path == "d/e/link"), "{error}");
        std::os::unix::fs::symlink("d", place.path().join("by")).unwrap();
        assert!(matches!(read(place.path(), &["by/e/f"]), Err(ContextError::Unreadable { .. })));
        assert!(matches!(read(place.path(), &["none"]), Err(ContextError::Unreadable { .. })));
    }

    #[test]
    fn too_much_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create(place.path().join("big")).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(read(place.path(), &["big"]), Err(ContextError::TooMuch)));
        file.set_len(MOST_BYTES).unwrap();
        assert!(read(place.path(), &["big"]).is_ok());
    }
}
