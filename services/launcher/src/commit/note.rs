//! A commit that is under way is written down in the bottle's state, so that whoever finds it after its launcher's death can
//! remove what there is of it (invariant 10).

use std::io;

use base::id::{ExchangeId, Slug};
use bus::layout::{BOTTLES, COMMITS};
use bus::{Bus, BusError};
use serde::{Deserialize, Serialize};

use super::archive_name;
use crate::backends::Backends;
use crate::state::StateDir;

/// It is there from just before anything is made until the record says that it is committed, or nothing of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitNote {
    /// The request's id, which is the archive's version too.
    pub(crate) request: ExchangeId,
}

impl CommitNote {
    pub(crate) fn store(&self, state: &StateDir) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(state.path())?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(state.commit()).map(drop).map_err(|error| error.error)
    }

    fn load(state: &StateDir) -> io::Result<Option<Self>> {
        match std::fs::read(state.commit()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn forget(state: &StateDir) -> io::Result<()> {
        match std::fs::remove_file(state.commit()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes what a dead launcher's commit has left, unless the bottle's record has it. Without a bus the archive's pieces go
/// when they are as old as a commit may be.
///
/// # Errors
/// Something is left; it is tried again the next time.
pub(crate) async fn abandon(
    (bus, backends): (Option<&Bus>, &Backends),
    bottle: &Slug,
    state: &StateDir,
) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| {
        format!("a commit of {bottle} is half there: {}", base::error::chain(error))
    };
    let Some(note) = CommitNote::load(state).map_err(|error| failed(&error))? else { return Ok(()) };
    let archive = archive_name(bottle, &note.request);
    if let Some(bus) = bus {
        if is_recorded(bus, bottle, &archive).await.map_err(|error| failed(&error))? {
            return CommitNote::forget(state).map_err(|error| failed(&error));
        }
        let abandoned = bus.objects(COMMITS).abandon(&archive, &note.request).await;
        abandoned.map_err(|error| failed(&error))?;
        backends.unpin(&archive).await.map_err(|error| failed(&error))?;
    }
    CommitNote::forget(state).map_err(|error| failed(&error))
}

async fn is_recorded(bus: &Bus, bottle: &Slug, archive: &str) -> Result<bool, BusError> {
    let found = bus.bucket(&BOTTLES).get(bottle.as_str()).await?;
    Ok(found.and_then(|found| found.value.commit).is_some_and(|commit| commit.archive == archive))
}
