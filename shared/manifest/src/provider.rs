//! `agent_provider`: which program the agent is (P1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The template of the agent's program: its name alone, or a map with its options.
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
#[serde(deny_unknown_fields)]
pub struct ProviderOptions {
    /// The template. Any name is accepted in a file; whether it is known is found out at launch.
    pub template: String,
    /// For `command`: the program and its arguments. No shell reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// For `command`: how the program gets what it is told; `stdin` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptMode>,
    /// For `command`: what of the agent's home makes up a session that can be resumed; it cannot be unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionFiles>,
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

    /// How the program gets what it is told.
    #[must_use]
    pub fn prompt(&self) -> PromptMode {
        match self {
            Self::Template(_) => PromptMode::default(),
            Self::Options(options) => options.prompt.unwrap_or_default(),
        }
    }
}
