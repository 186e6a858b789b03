//! `env`: variables of the agent's environment (M10).

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The value of one variable. The agent sees it: it must not be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvValue {
    /// This text.
    Literal(#[schemars(schema_with = "literal_schema")] String),
    /// The value that a variable of the host has when the bottle is launched.
    FromHost(FromHost),
}

/// A variable that is forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromHost {
    /// The name of the host's variable.
    pub from_host: String,
}

/// Whatever is written is taken as text, but an editor reads `8080` as a number.
fn literal_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

impl EnvValue {
    /// The host's variable that is forwarded, if one is.
    #[must_use]
    pub fn from_host(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::FromHost(host) => Some(&host.from_host),
        }
    }
}
