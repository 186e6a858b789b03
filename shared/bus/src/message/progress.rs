//! What a start does that takes long, while it does.
//!
//! ```text
//! launcher ── bottle.progress.<request> ──▶ whoever waits for the request
//! ```

use base::id::{RequestId, Slug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version};

/// `bottle.progress.<request>`: one line of what is done for a start, such as a step of an image's build. Not kept: the
/// launcher's log has it all, and a line that cannot be told at once is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Version of this message.
    pub v: Version<1>,
    /// The start request.
    pub request: RequestId,
    /// The bottle that is being made.
    pub bottle: Slug,
    /// What a builder or the like said, at most 300 characters. Untrusted.
    pub line: String,
}

impl Message for Progress {
    const PATTERN: &'static str = "bottle.progress.*";

    fn subject(&self) -> String {
        format!("bottle.progress.{}", self.request)
    }
}
