//! `provider.yaml`: what an agent's program needs, as data (P2). `docs/providers.md` describes every key.
//!
//! Texts may hold `${NAME}`, which stands for a value that is known at launch ([`super::template`]).

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::PromptMode;
use crate::image::ImageFile;

/// A provider: one program that can be an agent, and how it is told everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Provider of bot-bottle")]
pub struct ProviderFile {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// One line that says what it is.
    pub about: String,
    /// The program, by the name that is looked up on the host; absent where the bottle's `argv` gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Where the program itself is below the `node_modules` that the one found belongs to, if that one only starts it: the
    /// first that is there is run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub native: Vec<String>,
    /// How a person gets the program; shown where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// What an agent's container is made of on the backend `docker`, unless the bottle says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFile>,
    /// What a bottle may set beside `template`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, OptionFile>,
    /// What every run gets.
    #[serde(default, skip_serializing_if = "Pieces::is_empty")]
    pub always: Pieces,
    /// How the agent's own prompt reaches the program; before the task, with an empty line between, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<InstructionsFile>,
    /// Without a terminal: told once, works, ends.
    pub headless: ModeFile,
    /// On a terminal; a provider without it runs headless only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<ModeFile>,
    /// How a conversation is continued; without it nothing can be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionFile>,
    /// How the program learns of the bottle's MCP server (S1).
    pub supervise: DoorFile,
    /// The directory of skills, below the agent's home (L10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skills: Option<String>,
    /// A command of the program that must succeed inside the bottle before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyFile>,
    /// Phrases by which the program says that it is not logged in, or no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login: Vec<String>,
}

/// What is added to a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pieces {
    /// Arguments of the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Variables of its environment. The proxy's and the certificates' are the launcher's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files below the agent's home. Several for one path of kind `json` or `toml` become one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilePiece>,
    /// Routes, as in a bottle's file (E15).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "objects_schema")]
    pub routes: Vec<Json>,
}

impl Pieces {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A file; one of `text`, `json`, `toml` and `from` says what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePiece {
    /// Its path below the agent's home.
    pub path: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything_schema")]
    pub json: Option<Json>,
    /// A TOML document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything_schema")]
    pub toml: Option<Json>,
    /// A text file beside the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// One thing that a bottle may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionFile {
    /// What it is for.
    pub about: String,
    /// What its value is.
    pub kind: OptionKind,
    /// Its value where the bottle says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether the bottle must say something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Another option that cannot be set beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excludes: Option<String>,
    /// For kind `login`: where the host's login is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginFile>,
    /// What is added where it is set; `${value}` stands for its value.
    #[serde(default, skip_serializing_if = "Pieces::is_empty")]
    pub adds: Pieces,
}

/// What the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    /// Where a token is found, as in `auth.token_ref` of a route. It only ever stands in a route's `token_ref`.
    Token,
    /// Any text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`; what it adds is added for `true`.
    Switch,
    /// An `http` or `https` URL; `${value.scheme}`, `${value.host}`, `${value.port}` and `${value.path}` are its parts.
    Url,
    /// `true` or `false`: whether the host's own login of this program is used.
    Login,
}

/// The host's own login of a program, in a JSON file (P4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginFile {
    /// The file: absolute, or below the operator's home (`~/`).
    pub file: String,
    /// Where in it the token is (RFC 6901). `${login}` stands for it in a route's `token_ref`.
    pub token: String,
    /// Other values of it that are no secret, by name; each may stand as `${NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// The command that renews it; shown where it has expired.
    pub renew: String,
}

/// How the agent's prompt reaches the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstructionsFile {
    /// The file that holds it, below the agent's home.
    pub file: String,
    /// Arguments that are added when there is a prompt; `${instructions}` is the file's path in the bottle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// One way to run the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeFile {
    /// Arguments of a new conversation.
    pub start: Vec<String>,
    /// Arguments that continue one; `${session}` is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Vec<String>>,
    /// How the task is given; `stdin` unless given.
    #[serde(default)]
    pub task: PromptMode,
    /// What the output means; plain text unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultFile>,
}

/// Where in the program's output the answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultFile {
    /// One JSON document, or one on each line.
    pub format: ResultFormat,
    /// The answer's text; the last one counts.
    pub text: Pick,
    /// The session's id, where the program chooses it; the first one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Pick>,
    /// Anything there but `false`, `null` and an empty text is a failure that the program tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Pick>,
}

/// The form of a program's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultFormat {
    /// One JSON document.
    Json,
    /// A JSON document on each line.
    Lines,
}

/// A value in the documents of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// In which documents: those with these texts at these places (RFC 6901); all, unless given.
    #[serde(rename = "where", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub within: BTreeMap<String, String>,
    /// The place of the value (RFC 6901).
    pub take: String,
}

/// How a conversation is continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionFile {
    /// Who chooses its id.
    pub id: SessionId,
    /// What of the agent's home holds it, as paths below that; kept after a run, and put back for the next one (L7).
    pub paths: Vec<String>,
}

/// Who chooses the id of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionId {
    /// The launcher: a UUID, `${session}` already when a conversation starts.
    Assigned,
    /// The program, which tells it in its output.
    Reported,
}

/// How the program learns of the bottle's MCP server. Required where the bottle has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoorFile {
    /// Arguments of the program that register the server at `${door}`; the command must succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What is added where the bottle has the server.
    #[serde(default, skip_serializing_if = "Pieces::is_empty")]
    pub adds: Pieces,
}

/// A command of the program that must succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyFile {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// A text that must be in what it prints; any will do unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prints: Option<String>,
}

fn objects_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": {} })
}

fn anything_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({})
}
