//! A directory that a sidecar could write. It may have been taken over, and have made links, pipes or modes of its choice
//! there: no link is followed, nothing but plain files counts, and modes do not matter.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::trash::{DIRECTORY, entries, make_accessible};

/// See the module.
pub(super) struct Foreign(OwnedFd);

impl Foreign {
    /// Opens one; nothing where there is none, or something else.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(at: impl AsFd, name: impl Arg) -> io::Result<Option<Self>> {
        let directory = match openat(at, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(None),
            directory => directory?,
        };
        make_accessible(&directory, Mode::RWXU)?;
        Ok(Some(Self(directory)))
    }

    /// One below it.
    ///
    /// # Errors
    /// As [`Foreign::open`].
    pub(super) fn below(&self, name: &str) -> io::Result<Option<Self>> {
        Self::open(&self.0, name)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn remove(&self, name: &CStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// The length of a plain file; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(super) fn length(&self, name: &CStr) -> io::Result<Option<u64>> {
        let found = match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            found => found?,
        };
        let is_plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        Ok(is_plain.then(|| u64::try_from(found.st_size).unwrap_or(0)))
    }

    /// The names of the plain files that are wanted, sorted, each with its length.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn files(&self, is_wanted: impl Fn(&CStr) -> bool) -> io::Result<Vec<(CString, u64)>> {
        let mut files = Vec::new();
        for entry in entries(&self.0)? {
            let name = entry?.file_name().to_owned();
            if is_wanted(&name)
                && let Some(length) = self.length(&name)?
            {
                files.push((name, length));
            }
        }
        files.sort();
        Ok(files)
    }

    /// What is in a plain file, at most so many bytes of it; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&self, name: &CStr, most: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        if self.length(name)?.is_some() {
            self.file(name)?.take(most).read_to_end(&mut text)?;
        }
        Ok(text)
    }

    /// Opens a plain file, whatever its modes are.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub(super) fn file(&self, name: &CStr) -> io::Result<File> {
        let handle = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        make_accessible(&openat(&self.0, name, handle, Mode::empty())?, Mode::RUSR | Mode::WUSR)?;
        // Nobody at the other end of what is no plain file after all is waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Moves a file to the same name in another directory.
    ///
    /// # Errors
    /// It cannot be moved.
    pub(super) fn give(&self, name: &CStr, to: impl AsFd) -> io::Result<()> {
        Ok(renameat(&self.0, name, to, name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{CWD, mknodat};

    #[test]
    fn nothing_but_plain_files_of_the_directory_itself_counts() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("1.record"), "one").unwrap();
        symlink(&real, &link).unwrap();
        assert!(Foreign::open(CWD, &link).unwrap().is_none());
        assert!(Foreign::open(CWD, real.join("1.record")).unwrap().is_none());
        assert!(Foreign::open(CWD, home.path().join("nothing")).unwrap().is_none());

        symlink(real.join("1.record"), real.join("2.record")).unwrap();
        mknodat(CWD, real.join("3.record"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::create_dir(real.join("4.record")).unwrap();
        let real = Foreign::open(CWD, &real).unwrap().unwrap();
        assert_eq!(real.files(|_| true).unwrap(), [(c"1.record".to_owned(), 3)]);
        for name in [c"2.record", c"3.record", c"4.record", c"5.record"] {
            assert_eq!(real.read(name, 9).unwrap(), b"", "{name:?}");
        }
    }

    #[test]
    fn modes_do_not_matter() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("records"), "words").unwrap();
        for path in [from.join("records"), from.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        let as_anybody = std::thread::spawn(move || {
            use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
            let mut own = capabilities(None).unwrap();
            own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
            set_capabilities(None, own).unwrap();
            let foreign = Foreign::open(CWD, &from).unwrap().unwrap();
            foreign.give(c"records", File::open(&to).unwrap()).unwrap();
            Foreign::open(CWD, &to).unwrap().unwrap().read(c"records", 4).unwrap()
        });
        assert_eq!(as_anybody.join().unwrap(), b"word");
    }
}
