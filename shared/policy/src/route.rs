//! The one schema of a route, from the bottle's file to the wire (E1, E2).

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A bottle's `egress:` section: what its proxy allows. Also what a policy revision carries over the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EgressPolicy {
    /// What to record: 0 nothing, 1 decisions, 2 decisions with redacted headers and bodies (E12).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub log: Option<u8>,
    /// The allowed hosts. Anything else is refused.
    pub routes: Vec<Route>,
}

/// One host that the bottle may reach, and how (E1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A host name (`api.example.com`), or a wildcard for one or more labels below a name (`*.example.com`).
    pub host: String,
    /// `https` unless given.
    #[serde(default, skip_serializing_if = "Scheme::is_default")]
    pub scheme: Scheme,
    /// The only port allowed; the scheme's own (443, 80) unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The credential the proxy adds. The agent never sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Which requests are allowed: at least one entry must match; none given means every request (E2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// What is scanned on this route, and what happens on a finding (E9, E10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlp: Option<Dlp>,
    /// Smart-HTTP git over this route (E7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// Settings of the TLS connection to the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Private address ranges that the host may resolve to; every private, loopback or link-local address is
    /// refused otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ranges_schema")]
    pub allow_private: Vec<IpNet>,
    /// `host:port` to dial instead of resolving `host`, for a name that DNS does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<String>,
    /// A path under which a client without proxy support reaches this host at `http://egress:9099` (E5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Reserved: any value is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Route {
    /// The port it allows: the given one, or its scheme's own.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }
}

fn ranges_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "format": "cidr" } })
}

/// The scheme of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// TLS to the host, verified.
    #[default]
    Https,
    /// Plain HTTP, only where a route says so.
    Http,
}

impl Scheme {
    /// The port that the scheme implies.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// Lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The credential that the proxy injects (E4). It names where the secret is, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How the token is written into the request.
    pub scheme: AuthScheme,
    /// The header of scheme `header`; `Authorization` for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Where the launcher finds the token: the name of a host environment variable, `file:PATH`, or `cmd:ARGV`.
    pub token_ref: String,
}

/// How an injected token is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthScheme {
    /// `Authorization: Bearer TOKEN`
    Bearer,
    /// `Authorization: token TOKEN`
    #[serde(rename = "token")]
    Token,
    /// `Authorization: Basic base64(TOKEN)`, the token being `user:password`.
    #[serde(rename = "basic")]
    Basic,
    /// The named header holds the token and nothing else.
    #[serde(rename = "header")]
    Header,
}

/// One way for a request to be allowed: each dimension that is given must match (E2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// One of these must match the normalised path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
    /// The method must be one of these, in upper case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Each of these must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathMatch {
    /// The kind of comparison.
    #[serde(rename = "type")]
    pub kind: PathKind,
    /// What it is compared with.
    pub value: String,
}

/// Kinds of path comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// The path is this, or continues below it at a `/`.
    Prefix,
    /// The path is exactly this.
    Exact,
    /// The whole path matches this expression.
    Regex,
}

/// A header that must be present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name, in any case.
    pub name: String,
    /// What its value is compared with.
    pub value: String,
    /// `exact` unless given.
    #[serde(rename = "type", default, skip_serializing_if = "HeaderKind::is_default")]
    pub kind: HeaderKind,
}

/// Kinds of header comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeaderKind {
    /// The value is exactly this.
    #[default]
    Exact,
    /// The whole value matches this expression.
    Regex,
}

impl HeaderKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is scanned on a route (E9, E10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dlp {
    /// `false`, or the names of the detectors that look at requests; all default ones unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_detectors: Option<Detectors>,
    /// `false`, or the names of the detectors that look at responses; all default ones unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_detectors: Option<Detectors>,
    /// What happens when a request matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_on_match: Option<OnMatch>,
}

/// `false`, or a list of detectors by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Detectors {
    /// Only `false` is accepted: no detector looks.
    Off(#[schemars(schema_with = "only_false")] bool),
    /// These detectors look.
    Named(Vec<String>),
}

fn only_false(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "boolean", "const": false })
}

/// What happens to a request in which a detector found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMatch {
    /// Hold it and ask a person.
    Supervise,
    /// Replace what was found and forward the rest.
    Redact,
    /// Refuse it.
    Block,
}

/// Smart-HTTP git over a route (E7). Pushes are always refused here: they belong to the git gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Git {
    /// Whether clone and fetch are allowed; they are refused unless this is true.
    pub fetch: bool,
}

/// Settings of the TLS connection to the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Pass the agent's own TLS through, unseen and unscanned. Recorded as such.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub passthrough: bool,
    /// A PEM file with the authorities to trust for this host instead of the system's; read at launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}
