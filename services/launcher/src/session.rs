//! Sessions: what a program remembers from one run to the next (L3, L7). Each run is a bottle of its own; when it is over
//! what makes up the session is stored on the bus, and a later bottle, on any host, begins with it.

mod claim;
mod note;
mod snapshot;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;

use archive::Limits;
use base::id::{AgentName, BottleName, Slug};
use bus::message::record::{CommitRecord, SessionRecord};
use manifest::Client;
use manifest::provider::file::SessionId;
use serde::{Deserialize, Serialize};

pub(crate) use claim::{claim, find, without_image};
pub(crate) use note::SessionNote;
pub(crate) use snapshot::{Lost, store};

/// Files, directories and links that a transcript may hold; its bytes are [`crate::LauncherConfig::transcript`].
const ENTRIES: u64 = 100_000;

/// How much a transcript may hold.
pub(crate) fn limits(bytes: u64) -> Limits {
    Limits { bytes, entries: ENTRIES }
}

/// The session of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlan {
    /// The provider's template.
    pub provider: String,
    /// Its id, if that is known before the program has told it.
    pub id: Option<String>,
    /// What of the agent's home makes it up, as plain relative paths.
    pub paths: Vec<PathBuf>,
}

/// The session that a run goes on with, or that it leaves for a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePlan {
    /// The bottle that ran it.
    pub bottle: Slug,
    /// What that bottle ran: the agent and the effective bottles are replayed (M8).
    pub agent: AgentName,
    /// See there.
    pub bottles: Vec<BottleName>,
    /// How it goes on; none for a fresh session.
    pub session: Option<Resumed>,
    /// The environment that it goes on in, if one was committed and is not left for a fresh one (L8).
    pub commit: Option<CommitRecord>,
}

/// What is known about a session that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Its id.
    pub id: String,
    /// Its provider.
    pub provider: String,
    /// How many runs it has had.
    pub turns: u64,
    /// The transcript's name in the object store.
    pub transcript: String,
}

impl SessionPlan {
    /// The session of a provider that has any.
    pub(crate) fn of(client: &Client) -> Option<Self> {
        let session = client.session.as_ref()?;
        let id = (session.id == SessionId::Assigned).then(new_id);
        let paths = session.paths.iter().map(PathBuf::from).collect();
        Some(Self { provider: client.provider.clone(), id, paths })
    }

    /// The same session as one that ran.
    ///
    /// # Errors
    /// Another provider ran it.
    pub(crate) fn resumed(self, resumed: &Resumed) -> Result<Self, String> {
        if self.provider != resumed.provider {
            return Err(format!(
                "the session was run by the provider {}, and the bottle's is {} now",
                base::inert(&resumed.provider, 60),
                base::inert(&self.provider, 60)
            ));
        }
        Ok(Self { id: Some(resumed.id.clone()), ..self })
    }

    /// What the registry knows about it as the run begins.
    pub(crate) fn record(&self, resume: Option<&ResumePlan>) -> SessionRecord {
        let resumed = resume.and_then(|resume| Some((resume, resume.session.as_ref()?)));
        SessionRecord {
            provider: self.provider.clone(),
            id: self.id.clone(),
            turns: resumed.map_or(1, |(_, session)| session.turns.saturating_add(1)),
            transcript: None,
            resumed_from: resumed.map(|(resume, _)| resume.bottle.clone()),
            resumed_as: None,
        }
    }

    /// What the program learns about it: its id, and whether it ran before.
    pub(crate) fn environment(&self, is_resumed: bool) -> BTreeMap<String, String> {
        let id = self.id.clone().map(|id| ("BOT_BOTTLE_SESSION".to_owned(), id));
        let resumed = is_resumed.then(|| ("BOT_BOTTLE_RESUMED".to_owned(), "1".to_owned()));
        id.into_iter().chain(resumed).collect()
    }
}

/// A new session's id: a random UUID (version 4), which is what clients take that let their caller choose.
#[must_use]
pub fn new_id() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_random_uuid() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(one.as_bytes()[14] == b'4' && b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
