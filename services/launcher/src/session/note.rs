//! What of a session is written down in the bottle's state, so that whoever finds it after its launcher's death can store
//! the transcript (invariant 10).

use std::io;

use serde::{Deserialize, Serialize};

use super::SessionPlan;
use crate::state::StateDir;

/// It is there from just before the program starts until its transcript is stored, or never can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionNote {
    /// The session.
    pub(crate) session: SessionPlan,
    /// Bytes that its transcript may have.
    pub(crate) limit: u64,
}

impl SessionNote {
    pub(crate) fn store(&self, state: &StateDir) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(state.path())?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(state.session()).map(drop).map_err(|error| error.error)
    }

    /// Nothing where the program never started, has no session, or its transcript is settled.
    pub(crate) fn load(state: &StateDir) -> io::Result<Option<Self>> {
        match std::fs::read(state.session()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn forget(state: &StateDir) -> io::Result<()> {
        match std::fs::remove_file(state.session()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
