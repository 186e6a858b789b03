//! Every message, by subject. Payloads are JSON objects with a `v` field.
//!
//! | module | subjects |
//! |---|---|
//! | [`start`] | `bottle.start`, `bottle.stop.*` |
//! | [`commit`] | `bottle.commit.*`, `bottle.committed.*` |
//! | [`terminal`] | `bottle.terminal.*` |
//! | [`run`] | `bottle.started.*`, `bottle.exited.*`, `bottle.failed.*`, `bottle.output.*` |
//! | [`progress`] | `bottle.progress.*` |
//! | [`egress`] | `egress.log.*`, `egress.blocked.*` |
//! | [`push`] | `push.accepted.*`, `push.rejected.*` |
//! | [`proposal`] | `proposal.new.*`, `proposal.taken.*`, `proposal.get.*`, `proposal.withdraw.*`, `proposal.decide`, `proposal.resolved.*` |
//! | [`revision`] | `policy.get.*`, `policy.change`, `policy.changed.*`, `policy.running.*` |
//! | [`pr`] | `pr.event.*.*` |
//! | [`audit`] | `audit.*` |
//! | [`record`] | the values of the key-value buckets |
//! | [`event`] | any message of the events stream, by its subject |

pub mod audit;
pub mod commit;
pub mod egress;
pub mod event;
pub mod pr;
pub mod progress;
pub mod proposal;
pub mod push;
pub mod record;
pub mod revision;
pub mod run;
pub mod start;
pub mod terminal;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A message with a fixed place on the bus.
pub trait Message: Serialize + DeserializeOwned + JsonSchema + Send + Sync {
    /// The subjects it can have, with NATS wildcards: `bottle.started.*`.
    const PATTERN: &'static str;

    /// The subject of this very message.
    fn subject(&self) -> String;

    /// What makes two publications the same one, for the stream's duplicate window; absent means each counts.
    ///
    /// Keys are compared across a whole stream. One that another publisher of the stream could guess would let it have
    /// the message passed over as a duplicate of its own, so a key holds something that only its publisher knows: a
    /// random id, or the id of the request.
    fn dedup_key(&self) -> Option<String> {
        None
    }
}

/// A message that is answered.
pub trait Request: Message {
    /// Its answer.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
}

/// The version of a payload. This build writes and reads `N`; another version is refused, with both numbers (O4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version<const N: u32>;

impl<const N: u32> Serialize for Version<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(N)
    }
}

impl<'de, const N: u32> Deserialize<'de> for Version<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            v if v == N => Ok(Self),
            v => Err(serde::de::Error::custom(format!(
                "this message has version {v}, and this program reads version {N}: run the same release everywhere"
            ))),
        }
    }
}

impl<const N: u32> JsonSchema for Version<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Version{N}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": N, "description": "The version of this message." })
    }
}

/// A point in time on the wire: RFC 3339, UTC.
pub(crate) fn time_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time" })
}
