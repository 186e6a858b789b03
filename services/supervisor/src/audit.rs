//! The audit trail (invariant 7, S8): one record per decision, each chained to the one before, vouched for by signed
//! checkpoints, in a stream that forbids delete and purge. `docs/audit.md` is for those who read and verify it.
//!
//! ```text
//! streams EVENTS, PROPOSALS ──▶ Writer ── append after the last record ──▶ stream AUDIT ──▶ Verifier, export, ocsf
//!                                 │                                                            ▲
//!                                 └── checkpoint ──▶ audit/checkpoints.jsonl ──────────────────┘
//! ```
//!
//! The trail itself says how far each stream has been recorded: every record names the event that it is of. So an event
//! is done with exactly when its record is stored, whoever is killed in between; and of two supervisors that append at
//! once, one loses, reads what the other wrote, and goes on after it.

mod chain;
mod decision;
mod key;
mod line;
mod ocsf;
mod place;
mod verify;
mod writer;

pub use chain::{Chain, Draft, NotNext};
pub use key::{AuditKey, InvalidKey, KeyError, Keys, PublicKey};
pub use line::{Anchor, Digest};
pub use ocsf::{VERSION as OCSF_VERSION, events as ocsf};
pub use place::Place;
pub use verify::{Fault, MOST_UNSEALED, Report, Verifier, Why};
pub use writer::{AuditError, start};

use bus::{Malformed, Payload};

/// The stored bytes of a record, as a stream's reader gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored(pub Vec<u8>);

impl Payload for Stored {
    fn parse(_: &str, payload: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(payload.to_vec()))
    }
}
