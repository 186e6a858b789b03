//! What a git gate has kept; see [`handover::spool`].

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use bus::message::push::Parcel;
use handover::spool::{INTENT, RECORD};
use rustix::fs::CWD;

use super::LONGEST;
use super::foreign::Foreign;

/// The most that is looked at: twice what a gate keeps, and more files than it makes of that.
const MOST: u64 = 128 << 20;
const MOST_FILES: usize = 100_000;

/// The names of the pushes that the bus does not know of, in the order of time. What goes beyond any gate is left out.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn waiting(directory: &Foreign) -> io::Result<Vec<CString>> {
    let mut room = MOST;
    let fits = |(name, length): (CString, u64)| {
        room = room.checked_sub(length)?;
        Some(name)
    };
    Ok(directory.files(is_push)?.into_iter().map_while(fits).take(MOST_FILES).collect())
}

fn is_push(name: &CStr) -> bool {
    ending(name).is_some_and(|ending| ending == RECORD.as_bytes() || ending == INTENT.as_bytes())
}

/// Whether the gate has heard what became of it.
pub(super) fn is_over(name: &CStr) -> bool {
    ending(name) == Some(RECORD.as_bytes())
}

fn ending(name: &CStr) -> Option<&[u8]> {
    name.to_bytes().rsplit(|byte| *byte == b'.').next()
}

/// The pushes that were put aside in a directory of ours.
pub(super) struct Shelved(Foreign);

impl Shelved {
    /// Nothing where there are none.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        Ok(Foreign::open(CWD, path)?.map(Self))
    }

    pub(super) fn names(&self) -> io::Result<Vec<CString>> {
        waiting(&self.0)
    }

    /// One of them; nothing where it cannot be read.
    pub(super) fn read(&self, name: &CStr) -> io::Result<Option<Parcel>> {
        Ok(serde_json::from_slice(&self.0.read(name, LONGEST)?).ok())
    }

    /// Nothing more is to be done with it.
    pub(super) fn forget(&self, name: &CStr) -> io::Result<()> {
        self.0.remove(name)
    }
}
