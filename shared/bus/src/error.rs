//! What can go wrong on the bus.

use std::time::Duration;

use crate::envelope::Malformed;

/// Why something on the bus did not happen.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Nobody listens at the URL, or it did not answer in time.
    #[error(
        "cannot reach the message bus at {url} within {deadline:?}: start it with `bot-bottle up`, or point NATS_URL at a running one"
    )]
    Unreachable {
        /// Where, without any password.
        url: String,
        /// How long it was tried.
        deadline: Duration,
        /// What the last try said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bus does not accept the credentials.
    #[error(
        "the message bus at {url} refused the credentials of {name}: they expired, or were made for another bus; `bot-bottle init` makes new ones"
    )]
    Unauthorized {
        /// Where, without any password.
        url: String,
        /// Who tried.
        name: String,
    },
    /// The server cannot keep what it promises.
    #[error(
        "the message bus at {url} is nats-server {found}, which can lose acknowledged messages: use {} or newer",
        crate::server::OLDEST
    )]
    TooOld {
        /// Where, without any password.
        url: String,
        /// Its version.
        found: String,
    },
    /// This identity may not do that.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The bus was away or silent for the whole time.
    #[error("{doing}: no answer within {deadline:?}")]
    Deadline {
        /// What was being done.
        doing: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// Nobody answers requests on this subject.
    #[error("{doing}: nobody answers there; the part that should is not running")]
    NoResponders {
        /// What was being done.
        doing: String,
    },
    /// The answer, or the stored value, is not what it should be.
    #[error("{doing}: {malformed}")]
    Malformed {
        /// What was being done.
        doing: String,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// The value changed, or came to be, since it was read. Nothing was written.
    #[error("{doing}: the stored revision is another than the expected {expected}")]
    Conflict {
        /// What was being done.
        doing: String,
        /// The revision that was expected; 0 means that none was.
        expected: u64,
    },
    /// The server said no.
    #[error("{doing}: the bus answered: {answer} (code {code})")]
    Refused {
        /// What was being done.
        doing: String,
        /// The server's words.
        answer: String,
        /// The server's error code.
        code: u64,
    },
    /// Somebody wants the answer to a request on a subject that is no inbox.
    #[error("{doing}: the asker wants the answer on {reply}, which is no inbox")]
    ForeignReply {
        /// What was being done.
        doing: String,
        /// The subject, harmless to show.
        reply: String,
    },
    /// The message could not be handed to the connection.
    #[error("{doing}")]
    Client {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection was closed for good.
    #[error("{doing}: the connection to the bus is closed")]
    Closed {
        /// What was being done.
        doing: String,
    },
}

impl BusError {
    /// Whether the same message would be refused whenever it is published: a server that cannot store anything at the
    /// moment says 503, and all its other answers are about the message itself.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code != 503)
    }
}

/// The bus refused a publication or a subscription: this identity's permissions do not cover the subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} may not {} {subject}: docs/bus/permissions.md says who may. If {name} should, the bus has the permissions of \
     another release: start it anew with `bot-bottle up`, or give a bus of your own the accounts.conf that `bot-bottle init` \
     writes",
    if *.publish { "publish on" } else { "subscribe to" }
)]
pub struct Denied {
    /// Who tried.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// Whether it was a publication; otherwise a subscription.
    pub publish: bool,
}

impl Denied {
    /// Reads the server's words: `Permissions Violation for Publish to "policy.change"`.
    pub(crate) fn parse(name: &str, words: &str) -> Option<Self> {
        let rest = words.strip_prefix("Permissions Violation for ")?;
        let (publish, rest) = match rest.strip_prefix("Publish to \"") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix("Subscription to \"")?),
        };
        let (subject, _) = rest.split_once('"')?;
        Some(Self { name: name.to_owned(), subject: subject.to_owned(), publish })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_violation() {
        let denied = Denied::parse("b", "Permissions Violation for Publish to \"policy.change\"").unwrap();
        assert_eq!((denied.publish, denied.subject.as_str()), (true, "policy.change"));
        let denied =
            Denied::parse("b", "Permissions Violation for Subscription to \"audit.*\" using queue \"q\"");
        assert_eq!(denied.unwrap().subject, "audit.*");
        assert_eq!(Denied::parse("b", "Stale Connection"), None);
    }
}
