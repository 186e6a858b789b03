//! The conversation between the launcher and a sidecar:
//!
//! ```text
//! launcher ── EgressHandover ──▶ sidecar        secrets, policy, bus access; for the door DoorHandover
//! launcher ◀─ SidecarAnswer::Ready ── sidecar   its CA certificate; or Failed with the reason
//! launcher ── Listeners + descriptors ─▶ sidecar
//! launcher ◀─ SidecarAnswer::Serving ── sidecar
//! launcher ── end of file ──▶ sidecar           the bottle is over, or the launcher is dead: stop
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::Secret;
use base::id::Slug;
use policy::EgressPolicy;
use serde::{Deserialize, Serialize};

/// How a sidecar reaches the bus, and as whom.
#[derive(Clone, Serialize, Deserialize)]
pub struct BusAccess {
    /// `nats://host:port`.
    pub url: String,
    /// The bottle-scoped user JWT.
    pub jwt: String,
    /// The user's nkey seed.
    #[serde(with = "exposed")]
    pub seed: Secret,
}

/// Everything the egress sidecar needs; the first frame it gets.
#[derive(Clone, Serialize, Deserialize)]
pub struct EgressHandover {
    /// Version of this message: 1.
    pub v: u32,
    /// The bottle it serves.
    pub bottle: Slug,
    /// Absent in a test without a bus.
    pub bus: Option<BusAccess>,
    /// The revision of `policy`.
    pub revision: u64,
    /// The policy to run from the start.
    pub policy: EgressPolicy,
    /// `token_ref` as written in the policy → the token.
    #[serde(with = "exposed_map")]
    pub secrets: BTreeMap<String, Secret>,
    /// The bottle's canary (E11): a secret of no use that only a leak can bring to the proxy.
    #[serde(default, with = "exposed_option")]
    pub canary: Option<Secret>,
    /// Whether the bottle has a door, where its agent can ask a person for what is refused.
    #[serde(default)]
    pub has_door: bool,
    /// The operator's own secret rules in the gitleaks schema; the standard ones where there are none.
    #[serde(default)]
    pub rules: Option<String>,
    /// `tls.ca` as written in the policy → PEM text.
    pub authorities: BTreeMap<String, String>,
    /// How the host's own network is left.
    #[serde(default)]
    pub uplink: Uplink,
    /// A directory of its own for records that the bus has not taken yet.
    pub spool: PathBuf,
    /// A socket that it makes, and on which it tells its metrics (E17); without one it counts nothing.
    #[serde(default)]
    pub metrics: Option<PathBuf>,
    /// What its messages and spans are part of; without it they are a trace of their own.
    #[serde(default)]
    pub trace: Option<TraceHandover>,
    /// Limits (E14); absent fields have their defaults.
    #[serde(default)]
    pub limits: EgressLimits,
}

/// Everything the door, a bottle's MCP server, needs; the first frame it gets.
#[derive(Clone, Serialize, Deserialize)]
pub struct DoorHandover {
    /// Version of this message: 1.
    pub v: u32,
    /// The bottle it serves.
    pub bottle: Slug,
    /// Its only secret.
    pub bus: BusAccess,
    /// The trace that the bottle belongs to.
    #[serde(default)]
    pub trace: Option<TraceHandover>,
}

/// The trace that a bottle belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceHandover {
    /// The bottle's start, as a W3C `traceparent`.
    pub context: String,
    /// Where spans go: `http://host:port/path` of a collector (E17). Without one none are made.
    #[serde(default)]
    pub collector: Option<String>,
}

/// What the operator of a host has to say about the network that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// The proxy that alone leads out of it.
    pub proxy: Option<UplinkProxy>,
    /// Authorities (PEM) that are trusted on every route, besides those that are trusted anyway.
    pub authorities: Option<String>,
}

/// A proxy through which every connection to an origin is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UplinkProxy {
    /// `http://host:port`.
    pub url: String,
    /// Whether it is told names and resolves them. Otherwise names are resolved here, and it is told an address that was
    /// judged.
    pub resolves: bool,
}

/// Limits of one bottle's proxy (E14). Zero is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressLimits {
    /// Connections from the agent at once; further ones wait to be accepted.
    pub connections: usize,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// Bytes of one message's headers.
    pub header_bytes: usize,
    /// Bytes of one message's body; absent means unlimited, since bodies are streamed.
    pub body_bytes: Option<u64>,
    /// Seconds a connection may be silent.
    pub idle_seconds: u64,
    /// Seconds for a client to send a complete request head, and for a dial with its TLS handshake.
    pub handshake_seconds: u64,
    /// Leaf certificates kept.
    pub certificates: usize,
    /// Seconds a request in which something was found waits for a person's answer.
    pub hold_seconds: u64,
    /// Bytes that a compressed body may unpack into, where bodies are scanned.
    pub decoded_bytes: u64,
    /// Bytes of records spooled on disk while the bus is away; over it requests are refused.
    pub spool_bytes: u64,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            streams: 128,
            header_bytes: 64 * 1024,
            body_bytes: None,
            idle_seconds: 300,
            handshake_seconds: 15,
            certificates: 1024,
            hold_seconds: 60,
            decoded_bytes: 4 << 30,
            spool_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What a sidecar says to the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum SidecarAnswer {
    /// It has what it needs and waits for its listening sockets.
    Ready {
        /// The certificate (PEM) that the agent must trust; only egress has one.
        certificate: Option<String>,
    },
    /// It accepts connections.
    Serving,
    /// It cannot start.
    Failed {
        /// Why, without any secret.
        reason: String,
    },
}

/// Names the descriptors of its frame, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// For egress: `proxy`; for the door: `mcp`.
    pub names: Vec<String>,
}

/// The one place where a secret is written out: into the frame that hands it over.
pub(crate) mod exposed {
    use base::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    #[serde(transparent)]
    pub(super) struct Exposed<'a>(&'a str);

    impl<'a> From<&'a Secret> for Exposed<'a> {
        fn from(secret: &'a Secret) -> Self {
            Self(secret.expose())
        }
    }

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        Exposed::from(secret).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

pub(crate) mod exposed_option {
    use base::Secret;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use super::exposed::Exposed;

    pub(crate) fn serialize<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Exposed::from).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

mod exposed_map {
    use std::collections::BTreeMap;

    use base::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::exposed::Exposed;

    pub(super) fn serialize<S: Serializer>(
        secrets: &BTreeMap<String, Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(secrets.iter().map(|(name, secret)| (name, Exposed::from(secret))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, Secret>, D::Error> {
        let plain = BTreeMap::<String, String>::deserialize(from)?;
        Ok(plain.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }
}
