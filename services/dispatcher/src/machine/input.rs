//! What a conversation hears of.

use base::id::{RequestId, Slug};
use bus::Trace;
use bus::message::pr::{PrEnd, PrEvent, PrSession};
use jiff::Timestamp;

use crate::decide::Decision;

/// Something that concerns a conversation. Each may come twice, late, or not at all.
#[derive(Clone)]
pub enum Input<'a> {
    /// A delivery of the forge.
    Event {
        /// The delivery.
        event: &'a PrEvent,
        /// The step that works on it.
        trace: Trace,
        /// What is to be done about it, given the conversation.
        decide: &'a (dyn Fn(&PrSession) -> Decision + Sync),
    },
    /// A bottle runs for a request.
    Started {
        /// The request.
        request: &'a RequestId,
        /// The bottle.
        bottle: &'a Slug,
    },
    /// A request is over.
    Ended {
        /// The request.
        request: &'a RequestId,
        /// How.
        ended: Ended,
    },
    /// The answer of a request was posted, or was given up.
    Answered {
        /// The request.
        request: &'a RequestId,
    },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The bottle, if something ran.
    pub bottle: Option<Slug>,
    /// The session's id, if it can be resumed.
    pub session: Option<String>,
    /// Whether nothing ran because the session cannot be resumed.
    pub cannot_resume: bool,
    /// For people.
    pub end: PrEnd,
}

/// What decisions go by beside the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Timestamp,
    /// Turns of one session.
    pub turns: u64,
    /// The border of a prompt that is made now.
    pub border: &'a str,
}
