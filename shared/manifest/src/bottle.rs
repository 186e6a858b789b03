//! A bottle's file: credentials' places, routes, remotes, provider (M4).

use std::collections::BTreeMap;

use base::id::BottleName;
use policy::EgressPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::env::EnvValue;
use crate::git::GitGate;
use crate::grants::Grant;
use crate::image::ImageFile;
use crate::limits::Limits;
use crate::problem::Place;
use crate::provider::AgentProvider;

/// The frontmatter of a bottle's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Bottle of bot-bottle: frontmatter")]
pub struct BottleFile {
    /// The bottle that this one builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<BottleName>,
    /// Variables of the agent's environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// Which program the agent is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_provider: Option<AgentProvider>,
    /// What the agent's container is made of, on the backend `docker`; the provider's image, or the usual one, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFile>,
    /// Who commits, and which repositories there are.
    #[serde(rename = "git-gate", skip_serializing_if = "Option::is_none")]
    pub git_gate: Option<GitGate>,
    /// Which hosts there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressPolicy>,
    /// Whether the agent has the door, through which it asks a person for more; true unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervise: Option<bool>,
    /// What the bottle may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// A bottle's file in which nothing is wrong. What it extends was not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bottle {
    /// Its name, the file's stem.
    pub name: BottleName,
    /// Its keys.
    pub file: BottleFile,
    /// Whether `egress.routes` is written there: an empty list takes away what was inherited (M7).
    pub declares_routes: bool,
    /// What operators have granted and kept beside it.
    pub grants: Vec<Grant>,
    /// What follows the frontmatter: notes for people.
    pub notes: String,
    /// Where `extends` stands.
    pub extends_at: Place,
}
