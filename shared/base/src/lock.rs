//! Locked files: whoever holds one is the only one, or one of those who share it.

use std::fs::{File, TryLockError};
use std::io;

/// A file that is locked for as long as this lives.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Locks a file for this holder alone; nothing if somebody has it.
    ///
    /// # Errors
    /// The file system cannot lock.
    pub fn alone(file: File) -> io::Result<Option<Self>> {
        Self::of(file.try_lock(), file)
    }

    /// Locks a file for this holder and others who share it; nothing if somebody has it alone.
    ///
    /// # Errors
    /// The file system cannot lock.
    pub fn shared(file: File) -> io::Result<Option<Self>> {
        Self::of(file.try_lock_shared(), file)
    }

    fn of(locked: Result<(), TryLockError>, file: File) -> io::Result<Option<Self>> {
        match locked {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The file, to read or write it.
    pub fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for Locked {
    /// A process that was forked a moment ago has the file open, too, until it runs its own program: to close it here
    /// would leave it locked for as long.
    fn drop(&mut self) {
        // What cannot be unlocked is unlocked when it is closed everywhere.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_still_open_elsewhere_does_not_keep_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let first = open();
        // As a forked process has it.
        let copy = first.try_clone().unwrap();
        let locked = Locked::alone(first).unwrap().unwrap();
        assert!(Locked::alone(open()).unwrap().is_none() && Locked::shared(open()).unwrap().is_none());
        drop(locked);
        let shared = [Locked::shared(open()).unwrap().unwrap(), Locked::shared(open()).unwrap().unwrap()];
        assert!(Locked::alone(open()).unwrap().is_none());
        drop((shared, copy));
        assert!(Locked::alone(open()).unwrap().is_some());
    }
}
