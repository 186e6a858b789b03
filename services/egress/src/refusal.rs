//! Every reason for which a request does not go through.

use base::id::{ExchangeId, ProposalId};
use bus::message::egress::Found;
use bus::message::proposal::Outcome;
use http::StatusCode;

use crate::address::Objection;
use crate::framing::Flaw;

/// Why a request was refused or failed. Its text is inert and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The message's framing has more than one reading.
    #[error("the request's framing is not accepted: {0}")]
    Framing(#[from] Flaw),
    /// The message is not HTTP/1.1 or HTTP/2 as it should be.
    #[error("the request is malformed: {0}")]
    Malformed(String),
    /// The head is over the limit (E14).
    #[error("the request's head is larger than {0} bytes")]
    HeadTooLarge(usize),
    /// The head did not arrive in time (E14).
    #[error("the request's head was not complete within {0} seconds")]
    HeadTimeout(u64),
    /// CONNECT, SNI, `Host` and `:authority` name different destinations.
    #[error("the request names two destinations: {0}")]
    Identity(String),
    /// A tunnel that is neither TLS nor HTTP.
    #[error("the tunnel carries neither TLS nor HTTP; only HTTP passes this proxy")]
    NotHttp,
    /// Nothing, or no complete handshake, came through a tunnel in time (E14).
    #[error("the tunnel's handshake was not complete within {0} seconds")]
    HandshakeTimeout(u64),
    /// The client broke off the TLS handshake, most often because it does not trust the bottle's authority.
    #[error(
        "the TLS handshake with the client failed: {0}; does the client trust the bottle's CA certificate?"
    )]
    Handshake(String),
    /// A method that no route can allow.
    #[error("the method {0} does not pass this proxy")]
    Method(String),
    /// An `Upgrade` other than to WebSocket.
    #[error("only WebSocket upgrades pass this proxy, not {0}")]
    Upgrade(String),
    /// An `Expect` other than `100-continue`.
    #[error("the expectation {0} cannot be met")]
    Expectation(String),
    /// A body over the limit (E14).
    #[error("the body is larger than the limit of {0} bytes")]
    BodyTooLarge(u64),
    /// The policy says no (E1, E2, E7).
    #[error("{0}")]
    Policy(#[from] policy::Refusal),
    /// A detector found something that must not leave (E9, E11).
    #[error("{}", secret(.0))]
    Secret(Box<Found>),
    /// A person was asked whether it may leave, and has not answered yet.
    #[error(
        "{}; a person was asked (proposal {proposal}) and has not answered yet: wait, then try again",
        secret(found)
    )]
    Unanswered {
        /// What.
        found: Box<Found>,
        /// The question.
        proposal: ProposalId,
    },
    /// A person was asked, and it may not leave.
    #[error("{}; proposal {proposal} was {}{}", secret(found), ended(*outcome), because(reason.as_deref()))]
    Denied {
        /// What.
        found: Box<Found>,
        /// The question.
        proposal: ProposalId,
        /// The answer.
        outcome: Outcome,
        /// Why.
        reason: Option<String>,
    },
    /// A person would have to be asked, and none can be.
    #[error("{}, and no person can be asked: {why}", secret(found))]
    NobodyToAsk {
        /// What.
        found: Box<Found>,
        /// Why not.
        why: String,
    },
    /// An encoded line end in the path or query, with a header after it (E9).
    #[error("the path or query holds an encoded line end with a header after it")]
    HeaderInjection,
    /// It cannot be judged, so it does not leave (invariant 3).
    #[error("the request cannot be scanned for secrets: {0}")]
    Unscannable(String),
    /// The answer holds instructions to the model that reads it (E10).
    #[error("the answer holds what looks like instructions to a model ({signals})")]
    Injection {
        /// As recorded.
        found: Box<Found>,
        /// The kinds of signal, with commas between.
        signals: String,
    },
    /// The answer holds a secret of the bottle, and not where it could be blotted out (E10).
    #[error("the answer holds a secret of the bottle ({}) that cannot be blotted out of it", .0.detector)]
    Echo(Box<Found>),
    /// The answer cannot be judged, so it does not reach the agent (invariant 3).
    #[error("the answer cannot be scanned: {0}")]
    UnscannableAnswer(String),
    /// The host resolves to an address that must not be dialled.
    #[error("{host} is at {address}, and {objection}; a route may allow it with allow_private")]
    Address {
        /// The host.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
        /// What is wrong with the address.
        objection: Objection,
    },
    /// The helper knows no such page (E8).
    #[error("there is no such page; ask for /allowlist, /explain?url=...&method=... or /health")]
    NoSuchPage,
    /// A direct request to the proxy that names neither a page of the helper nor a mount.
    #[error("this is a proxy: send it absolute URLs or CONNECT, or ask for http://_egress.local/allowlist")]
    NotProxied,
    /// Records cannot be kept, so nothing may happen that would have to be recorded.
    #[error("records can no longer be kept: the spool is full because the bus is away; try again later")]
    RecordsFull,
    /// Too much at once (E14).
    #[error("the proxy has as many requests or connections in hand as it may; try again later")]
    Busy,
    /// The bottle is being stopped.
    #[error("the bottle is being stopped")]
    Stopping,
    /// The name has no address.
    #[error("{host} cannot be resolved: {cause}")]
    Resolve {
        /// The host.
        host: String,
        /// The resolver's words.
        cause: String,
    },
    /// No address of the host accepts a connection.
    #[error("cannot connect to {host}: {cause}")]
    Connect {
        /// The host.
        host: String,
        /// The last try's error.
        cause: String,
    },
    /// The host did not prove its name.
    #[error("the TLS handshake with {host} failed: {cause}")]
    UpstreamTls {
        /// The host.
        host: String,
        /// What is wrong.
        cause: String,
    },
    /// The host answered with something that is not HTTP, or hung up.
    #[error("{host} did not answer properly: {cause}")]
    Upstream {
        /// The host.
        host: String,
        /// What it did.
        cause: String,
    },
    /// The host was silent for the idle time (E14).
    #[error("{host} was silent for {seconds} seconds")]
    UpstreamTimeout {
        /// The host.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// A defect of this program.
    #[error("the proxy has a defect; its log says more")]
    Internal,
}

impl Refusal {
    /// What the agent reads: the same text, without an address behind a name.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Address { host, objection, .. } => format!(
                "{host} is at an address that must not be dialled, because {objection}; a route may allow it with \
                 allow_private"
            ),
            refusal => refusal.to_string(),
        }
    }

    /// The stable name of the rule, listed in `docs/errors.md`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Framing(_) => "bad-framing",
            Self::Malformed(_) => "malformed",
            Self::HeadTooLarge(_) => "head-too-large",
            Self::HeadTimeout(_) => "head-timeout",
            Self::Identity(_) => "identity",
            Self::NotHttp => "not-http",
            Self::HandshakeTimeout(_) => "handshake-timeout",
            Self::Handshake(_) => "handshake",
            Self::Method(_) => "method",
            Self::Upgrade(_) => "upgrade",
            Self::Expectation(_) => "expectation",
            Self::BodyTooLarge(_) => "body-too-large",
            Self::Policy(refusal) => refusal.rule(),
            Self::Address { .. } => "address",
            Self::Secret(found) if found.is_certain => "canary",
            Self::Secret(_) | Self::Unanswered { .. } | Self::Denied { .. } | Self::NobodyToAsk { .. } => {
                "secret"
            }
            Self::HeaderInjection => "header-injection",
            Self::Unscannable(_) => "unscannable",
            Self::Injection { .. } => "injection",
            Self::Echo(_) => "secret-echo",
            Self::UnscannableAnswer(_) => "unscannable-answer",
            Self::NoSuchPage => "no-such-page",
            Self::NotProxied => "not-proxied",
            Self::RecordsFull => "records-full",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::UpstreamTls { .. } => "upstream-tls",
            Self::Upstream { .. } => "upstream",
            Self::UpstreamTimeout { .. } => "upstream-timeout",
            Self::Internal => "internal",
        }
    }

    /// The status of the reply.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Framing(_) | Self::Malformed(_) | Self::NotHttp | Self::Handshake(_) | Self::NotProxied => {
                StatusCode::BAD_REQUEST
            }
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTimeout(_) | Self::HandshakeTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Identity(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upgrade(_)
            | Self::Policy(_)
            | Self::Address { .. }
            | Self::Secret(_)
            | Self::Unanswered { .. }
            | Self::Denied { .. }
            | Self::NobodyToAsk { .. }
            | Self::HeaderInjection
            | Self::Unscannable(_)
            | Self::Injection { .. }
            | Self::Echo(_)
            | Self::UnscannableAnswer(_) => StatusCode::FORBIDDEN,
            Self::Expectation(_) => StatusCode::EXPECTATION_FAILED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::RecordsFull | Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::UpstreamTls { .. }
            | Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the request was allowed, and failed on its way: such a one is recorded as allowed and unanswered.
    #[must_use]
    pub fn was_allowed(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::UpstreamTls { .. }
                | Self::Upstream { .. }
                | Self::UpstreamTimeout { .. }
        )
    }

    /// What a detector found, if that is why.
    pub(crate) fn found(&self) -> Option<&Found> {
        match self {
            Self::Secret(found)
            | Self::Echo(found)
            | Self::Injection { found, .. }
            | Self::Unanswered { found, .. }
            | Self::Denied { found, .. }
            | Self::NobodyToAsk { found, .. } => Some(found),
            _ => None,
        }
    }

    /// The question that a person was asked about it.
    pub(crate) fn proposal(&self) -> Option<&ProposalId> {
        match self {
            Self::Unanswered { proposal, .. } | Self::Denied { proposal, .. } => Some(proposal),
            _ => None,
        }
    }

    /// Whether a person could allow it, so that asking makes sense.
    pub(crate) fn can_be_asked_for(&self) -> bool {
        matches!(self, Self::Policy(refusal) if refusal.is_grantable())
    }

    /// Whether the connection cannot carry another request.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(self, Self::Framing(_) | Self::Malformed(_) | Self::BodyTooLarge(_) | Self::Stopping)
    }
}

/// What is known of a request when it is refused. Texts are untrusted.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its id.
    pub(crate) id: ExchangeId,
    /// The method, as far as it was read.
    pub(crate) method: String,
    /// `https` or `http`, as far as known.
    pub(crate) scheme: &'static str,
    /// The host it is for.
    pub(crate) host: String,
    /// The port it is for.
    pub(crate) port: Option<u16>,
    /// Its path without the query, at most [`PATH_LIMIT`] bytes.
    pub(crate) path: String,
}

/// Bytes of a path that are recorded.
pub(crate) const PATH_LIMIT: usize = 1024;

/// What was found, in words.
fn secret(found: &Found) -> String {
    let what = if found.is_certain {
        "the bottle's canary".to_owned()
    } else {
        format!("a secret ({})", found.detector)
    };
    let through =
        if found.via.is_empty() { String::new() } else { format!(", seen through {}", found.via.join(", ")) };
    format!("the request's {} holds {what}{through}", found.surface)
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approved => "approved",
        Outcome::Modified => "modified",
        Outcome::Rejected => "rejected",
        Outcome::Expired => "not answered in time",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Refused => "shown to nobody",
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}
