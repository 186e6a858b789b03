//! Reads what a git gate has kept; see [`handover::spool`].

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bus::message::push::Parcel;
use handover::spool::{INTENT, RECORD};

use super::plain::{self, LONGEST};

/// A push that the bus does not know of.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    /// Whether the gate has heard what became of it.
    pub(super) is_over: bool,
    pub(super) parcel: Parcel,
}

impl Kept {
    /// Nothing more is to be done with it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether there are any.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn waits(directory: &Path) -> io::Result<bool> {
    Ok(paths(directory)?.next().is_some())
}

/// All of them, in the order of time. A file that is none is passed over.
///
/// # Errors
/// The directory, or one of them, cannot be read.
pub(super) fn waiting(directory: &Path) -> io::Result<Vec<Kept>> {
    let mut paths: Vec<_> = paths(directory)?.collect();
    paths.sort();
    let mut kept = Vec::new();
    for path in paths {
        let mut text = Vec::new();
        if let Some(file) = plain::open(&path)? {
            file.take(LONGEST).read_to_end(&mut text)?;
        }
        let is_over = path.extension().is_some_and(|ending| ending == RECORD);
        match serde_json::from_slice(&text) {
            Ok(parcel) => kept.push(Kept { path, is_over, parcel }),
            Err(_) => tracing::error!("a kept record of a git gate cannot be read and is passed over"),
        }
    }
    Ok(kept)
}

fn paths(directory: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        entries => Some(entries?),
    };
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|ending| ending == RECORD || ending == INTENT)))
}
