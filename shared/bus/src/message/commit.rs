//! Keeping what a running bottle has made (L8).

use base::id::{ExchangeId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::CommitRecord;
use super::{Message, Request, Version, time_schema};

/// `bottle.commit.<bottle>`: keep a running bottle's environment, without stopping it. Answered by the launcher that runs it,
/// within a few seconds: whoever asks again with the same id hears how far it is, and in the end what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitRequest {
    /// Version of this message.
    pub v: Version<1>,
    /// Chosen by who asks; asking twice with the same one commits once.
    pub id: ExchangeId,
    /// The bottle.
    pub bottle: Slug,
    /// Another Dockerfile, which an operator has approved: the image that is built from it takes the place of the bottle's
    /// own in the commit (S7). If it cannot be built nothing is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
}

/// The answer to a [`CommitRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CommitReply {
    /// It is under way.
    Working {
        /// Bytes of the archive so far.
        packed: u64,
    },
    /// It is stored, and the bottle's record says so.
    Committed {
        /// What the record says.
        commit: CommitRecord,
    },
    /// Nothing was committed; an earlier commit is as it was.
    Refused {
        /// Why.
        reason: String,
    },
}

/// `bottle.committed.<bottle>`: a bottle's environment was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Committed {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// What was kept.
    pub commit: CommitRecord,
    /// When the record said so.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

impl Message for CommitRequest {
    const PATTERN: &'static str = "bottle.commit.*";

    fn subject(&self) -> String {
        format!("bottle.commit.{}", self.bottle)
    }
}

impl Request for CommitRequest {
    type Reply = CommitReply;
}

impl Message for Committed {
    const PATTERN: &'static str = "bottle.committed.*";

    fn subject(&self) -> String {
        format!("bottle.committed.{}", self.bottle)
    }

    /// Its archive's name has the id of the request, which no bottle knows.
    fn dedup_key(&self) -> Option<String> {
        Some(format!("committed-{}", self.commit.archive))
    }
}
