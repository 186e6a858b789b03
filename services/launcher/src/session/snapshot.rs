//! From what a bottle left in its home to a transcript on the bus (L7).

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use archive::{Odd, PackError, Rules};
use base::id::Slug;
use bus::layout::TRANSCRIPTS;
use bus::{Bus, BusError};

use super::{SessionNote, limits};
use crate::state::StateDir;

/// Why a transcript is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// What there is cannot be packed, now or ever.
    #[error("its transcript cannot be packed")]
    Unpackable(#[source] PackError),
    /// It may succeed another time.
    #[error("its transcript was not stored yet")]
    NotYet(#[source] BusError),
    /// The host is in the way.
    #[error("its transcript cannot be written down")]
    Host(#[source] io::Error),
}

impl Lost {
    /// Whether a later try may succeed.
    pub(crate) fn is_for_now(&self) -> bool {
        !matches!(self, Self::Unpackable(_))
    }
}

/// Packs what makes up the session of a bottle in which nothing runs any more, and stores it under the bottle's name, which
/// it returns. What was stored under it before is replaced.
///
/// # Errors
/// [`Lost`]; the home is as it was.
pub(crate) async fn store(
    bus: &Bus,
    bottle: &Slug,
    state: &StateDir,
    note: &SessionNote,
) -> Result<String, Lost> {
    let (home, scratch) = (state.home(), state.path().to_owned());
    let (paths, limit) = (note.session.paths.clone(), note.limit);
    let packing = tokio::task::spawn_blocking(move || pack(&home, &scratch, &paths, limit));
    let archive = packing.await.unwrap_or_else(|panic| Err(Lost::Host(io::Error::other(panic))))?;
    let archive = tokio::fs::File::from_std(archive);
    bus.objects(TRANSCRIPTS).put(bottle.as_str(), archive).await.map_err(Lost::NotYet)?;
    Ok(bottle.to_string())
}

/// The archive is a file without a name: whatever happens, nothing of it stays.
fn pack(home: &Path, scratch: &Path, paths: &[PathBuf], limit: u64) -> Result<File, Lost> {
    let mut archive = tempfile::tempfile_in(scratch).map_err(Lost::Host)?;
    // An agent's links would lead a host astray that is not as careful as this one.
    let rules = Rules { links: Odd::Skip, specials: Odd::Skip, in_use: false, limits: limits(limit) };
    let contents = archive::pack(home, paths, &rules, &archive).map_err(Lost::Unpackable)?;
    if contents.skipped > 0 {
        tracing::info!(skipped = contents.skipped, "links and the like are not part of a transcript");
    }
    archive.rewind().map_err(Lost::Host)?;
    Ok(archive)
}
