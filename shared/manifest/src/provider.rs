//! Which program the agent is (P1, P2): what a bottle says of it, the providers that there are, and both as one.

pub mod builtin;
mod check;
pub mod client;
pub mod file;
pub mod files;
mod load;
mod merge;
pub mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use check::check;
pub use client::Client;
pub use file::ProviderFile;
pub(crate) use load::{Providers, directory, is_name, load};
pub(crate) use merge::with_routes;

/// `agent_provider` of a bottle: the template's name alone, or a map with its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AgentProvider {
    /// The template's name.
    Template(String),
    /// The template's name and its options.
    Options(ProviderOptions),
}

/// The template's name and its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderOptions {
    /// The template. Any name is accepted in a file; whether it is known is found out at launch.
    pub template: String,
    /// The program on the host, by its absolute path, instead of the one that is found by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// For `command`: the program and its arguments. No shell reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// For `command`: how the program gets what it is told; `stdin` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptMode>,
    /// For `command`: what of the agent's home makes up a session that can be resumed; it cannot be unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionFiles>,
    /// The template's own options, each one text, number or truth; `docs/providers.md` lists those of the built-in ones.
    #[serde(flatten)]
    pub settings: BTreeMap<String, String>,
}

/// What of the agent's home makes up a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionFiles {
    /// Files and directories of the agent's home, as relative paths; the agent finds them again when it is resumed.
    #[schemars(length(min = 1, max = 16))]
    pub paths: Vec<String>,
}

/// How a program gets what it is told: the agent's prompt, an empty line, and the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptMode {
    /// On its standard input, which then ends.
    #[default]
    Stdin,
    /// As one more argument, the last.
    Argument,
    /// In a file whose path is in the variable `BOT_BOTTLE_PROMPT_FILE`.
    File,
    /// Not at all.
    None,
}

/// The template that runs any program.
pub const COMMAND: &str = "command";

impl AgentProvider {
    /// The template's name.
    #[must_use]
    pub fn template(&self) -> &str {
        match self {
            Self::Template(name) => name,
            Self::Options(options) => &options.template,
        }
    }

    /// The options; without any where there is only a name.
    #[must_use]
    pub fn options(&self) -> ProviderOptions {
        match self {
            Self::Options(options) => options.clone(),
            Self::Template(name) => ProviderOptions {
                template: name.clone(),
                program: None,
                argv: None,
                prompt: None,
                session: None,
                settings: BTreeMap::new(),
            },
        }
    }

    /// The program and its arguments, where the file gives them.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        match self {
            Self::Template(_) => &[],
            Self::Options(options) => options.argv.as_deref().unwrap_or_default(),
        }
    }

    /// What makes up a session, where the file says it.
    #[must_use]
    pub fn session(&self) -> Option<&SessionFiles> {
        match self {
            Self::Template(_) => None,
            Self::Options(options) => options.session.as_ref(),
        }
    }
}
