//! Any message of the events stream.

use base::id::Slug;
use serde::Serialize;

use super::{commit, egress, push, revision, run};
use crate::envelope::{Malformed, Payload};

/// A message of the stream [`crate::layout::EVENTS`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A bottle's program runs.
    Started(run::Started),
    /// A bottle's environment was kept.
    Committed(commit::Committed),
    /// A bottle's run is over.
    Exited(run::Exited),
    /// Nothing runs for a request.
    Failed(run::Failed),
    /// Requests that were allowed.
    Allowed(egress::Log),
    /// A request that was refused.
    Blocked(egress::Blocked),
    /// A push that went upstream.
    PushAccepted(push::Accepted),
    /// A push that did not.
    PushRejected(push::Rejected),
    /// Which policy a sidecar runs.
    PolicyRunning(revision::PolicyRunning),
}

impl Event {
    /// The bottle that it is about, if there is one.
    #[must_use]
    pub fn bottle(&self) -> Option<&Slug> {
        match self {
            Self::Started(event) => Some(&event.bottle),
            Self::Committed(event) => Some(&event.bottle),
            Self::Exited(event) => Some(&event.bottle),
            Self::Failed(event) => event.bottle.as_ref(),
            Self::Allowed(event) => Some(&event.bottle),
            Self::Blocked(event) => Some(&event.bottle),
            Self::PushAccepted(event) => Some(&event.bottle),
            Self::PushRejected(event) => Some(&event.bottle),
            Self::PolicyRunning(event) => Some(&event.bottle),
        }
    }
}

impl Payload for Event {
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed> {
        let mut tokens = subject.split('.');
        match (tokens.next(), tokens.next()) {
            (Some("bottle"), Some("started")) => Payload::parse(subject, payload).map(Self::Started),
            (Some("bottle"), Some("committed")) => Payload::parse(subject, payload).map(Self::Committed),
            (Some("bottle"), Some("exited")) => Payload::parse(subject, payload).map(Self::Exited),
            (Some("bottle"), Some("failed")) => Payload::parse(subject, payload).map(Self::Failed),
            (Some("egress"), Some("log")) => Payload::parse(subject, payload).map(Self::Allowed),
            (Some("egress"), Some("blocked")) => Payload::parse(subject, payload).map(Self::Blocked),
            (Some("push"), Some("accepted")) => Payload::parse(subject, payload).map(Self::PushAccepted),
            (Some("push"), Some("rejected")) => Payload::parse(subject, payload).map(Self::PushRejected),
            (Some("policy"), Some("running")) => Payload::parse(subject, payload).map(Self::PolicyRunning),
            _ => {
                let reason = "no event of this release has this subject".to_owned();
                Err(Malformed { subject: base::inert(subject, 200), reason })
            }
        }
    }
}
