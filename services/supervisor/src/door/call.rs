//! The tools' inputs (S1): what an agent may say, and nothing else. Pure.

use std::time::Duration;

use policy::{PathMatch, Scheme};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A tool call whose input has the right form.
#[derive(Debug)]
pub(super) enum Call {
    ListEgressRoutes(ListEgressRoutes),
    Allow(Allow),
    EgressBlock(EgressBlock),
    CapabilityBlock(CapabilityBlock),
    Wait(Wait),
    Withdraw(Withdraw),
}

/// Why a tool call is not made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// There is no such tool.
    UnknownTool,
    /// The input is not the tool's; the text says what to change, and is inert.
    Input(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEgressRoutes {
    /// Only routes whose host contains this text.
    #[serde(default)]
    pub(super) host: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Allow {
    /// One host name, such as api.example.com; no URL, no wildcard.
    pub(super) host: String,
    /// https unless given.
    #[serde(default)]
    pub(super) scheme: Scheme,
    /// The port; the scheme's own unless given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) port: Option<u16>,
    /// The methods you need, such as ["GET"]. None given asks for every method, which is harder to say yes to.
    #[serde(default)]
    pub(super) methods: Vec<String>,
    /// The paths you need, such as [{"type": "prefix", "value": "/v1/docs"}]. None given asks for every path, which is
    /// harder to say yes to.
    #[serde(default)]
    pub(super) paths: Vec<PathMatch>,
    /// Why the task needs it, in a sentence or two, for the person who decides.
    pub(super) justification: String,
    /// How many seconds to wait for the answer; 0 to come back at once.
    #[serde(default)]
    #[schemars(range(max = 300))]
    pub(super) wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EgressBlock {
    /// The id of the refusal, as the refused request's answer has it. Give it alone, or else the host.
    #[serde(default)]
    pub(super) id: Option<String>,
    /// One host name, such as api.example.com; no URL, no wildcard.
    #[serde(default)]
    pub(super) host: Option<String>,
    /// https unless given.
    #[serde(default)]
    pub(super) scheme: Option<Scheme>,
    /// The port; the scheme's own unless given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) port: Option<u16>,
    /// The methods you need, such as ["GET"]. None given asks for every method.
    #[serde(default)]
    pub(super) methods: Vec<String>,
    /// The paths you need, such as [{"type": "prefix", "value": "/v1/docs"}]. None given asks for every path.
    #[serde(default)]
    pub(super) paths: Vec<PathMatch>,
    /// Why the task needs it, in a sentence or two, for the person who decides.
    pub(super) justification: String,
    /// How many seconds to wait for the answer; 0 to come back at once.
    #[serde(default)]
    #[schemars(range(max = 300))]
    pub(super) wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CapabilityBlock {
    /// The whole Dockerfile of the image that you need.
    pub(super) dockerfile: String,
    /// Why the task needs it, in a sentence or two, for the person who decides.
    pub(super) justification: String,
    /// How many seconds to wait for the answer; 0 to come back at once.
    #[serde(default)]
    #[schemars(range(max = 300))]
    pub(super) wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// The proposal's id.
    pub(super) proposal: String,
    /// How many seconds to wait for the answer; 0 to come back at once.
    #[serde(default)]
    #[schemars(range(max = 300))]
    pub(super) wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdraw {
    /// The proposal's id.
    pub(super) proposal: String,
}

/// What only an operator sets, in any of its spellings.
const NOT_THE_AGENTS: [&str; 13] = [
    "allow_private",
    "auth",
    "connect_to",
    "dlp",
    "git",
    "header",
    "headers",
    "mount",
    "role",
    "tls",
    "token",
    "token_ref",
    "secret",
];

/// Longest shown part of what an agent sent.
const SHOWN: usize = 300;

impl Call {
    /// Reads a tool call.
    pub(super) fn read(tool: &str, arguments: Option<Map<String, Value>>) -> Result<Self, Misuse> {
        let arguments = arguments.unwrap_or_default();
        match tool {
            "list-egress-routes" => input(arguments).map(Self::ListEgressRoutes),
            "allow" => input(arguments).map(Self::Allow),
            "egress-block" => input(arguments).map(Self::EgressBlock),
            "capability-block" => input(arguments).map(Self::CapabilityBlock),
            "wait" => input(arguments).map(Self::Wait),
            "withdraw" => input(arguments).map(Self::Withdraw),
            _ => Err(Misuse::UnknownTool),
        }
    }

    /// How long it wants to wait for a person; nothing where it says nothing or does not wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Allow(call) => call.wait_seconds,
            Self::EgressBlock(call) => call.wait_seconds,
            Self::CapabilityBlock(call) => call.wait_seconds,
            Self::Wait(call) => call.wait_seconds,
            Self::ListEgressRoutes(_) | Self::Withdraw(_) => None,
        };
        seconds.map(Duration::from_secs)
    }
}

fn input<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, Misuse> {
    if let Some(name) = arguments.keys().find(|name| NOT_THE_AGENTS.contains(&name.as_str())) {
        return Err(Misuse::Input(format!(
            "{name} is only the operator's to set: credentials, detectors, addresses and TLS cannot be asked for. Ask for \
             the host, methods and paths, and say in the justification what else you think is missing"
        )));
    }
    if arguments.contains_key("bottle") {
        return Err(Misuse::Input(
            "leave out bottle: this is the door of your own bottle, and of no other".to_owned(),
        ));
    }
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Misuse::Input(base::inert(&error.to_string(), SHOWN)))
}
