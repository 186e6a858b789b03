//! An agent's file: who it is and what it is told, and no more (M2, M4).

use std::borrow::Cow;
use std::path::PathBuf;

use base::id::{AgentName, BottleName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::git::AgentGit;
use crate::problem::Place;

/// The frontmatter of an agent's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Agent of bot-bottle: frontmatter")]
pub struct AgentFile {
    /// The bottle that it runs in, unless others are chosen at launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
    /// Names of directories in the host's skills folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Its git identity.
    #[serde(rename = "git-gate", skip_serializing_if = "Option::is_none")]
    pub git_gate: Option<AgentGit>,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub name: Ignored,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub description: Ignored,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub model: Ignored,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub color: Ignored,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub memory: Ignored,
    /// Of a Claude sub-agent; accepted and ignored.
    #[serde(skip_serializing)]
    pub tools: Ignored,
}

/// A value that nobody reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self)
    }
}

impl Serialize for Ignored {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl JsonSchema for Ignored {
    fn schema_name() -> Cow<'static, str> {
        "Ignored".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// Where an agent's file was found. Only one from the home may be started by a message; one from a repository runs
/// only when a person starts it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// The operator's home.
    Home,
    /// A repository, whose author is not trusted.
    Repo {
        /// Its root.
        root: PathBuf,
    },
}

/// An agent's file in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name, the file's stem.
    pub name: AgentName,
    /// Where it comes from.
    pub origin: Origin,
    /// Its keys.
    pub file: AgentFile,
    /// What follows the frontmatter: its system prompt.
    pub prompt: String,
    /// Where `bottle` stands.
    pub bottle_at: Place,
    /// Where `skills` stands in its file.
    pub skills_at: Place,
}
