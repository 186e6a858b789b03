//! `dispatch.yaml` in the home: which forges may start agents, for whom, and for what (D1, D3, D4). Without it nothing
//! listens.

mod check;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base::id::{AgentName, BottleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::home::{Home, Links, read};
use crate::load::parse_dispatch;
use crate::problem::FileProblems;

pub(crate) use check::check;

/// What the dispatcher is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "The dispatcher of bot-bottle")]
pub struct DispatchFile {
    /// Where webhooks are taken, an address and a port; `127.0.0.1:8466` unless given. There is no TLS: what is not on
    /// this host comes through a proxy that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The webhooks, by the last part of their address: `/webhook/NAME`. A name is `a-z`, `0-9` and `-`.
    pub webhooks: BTreeMap<String, Webhook>,
    /// What is run for what. The first rule that is about an event decides.
    pub rules: Vec<DispatchRule>,
    /// Turns after which a session is followed by a fresh one, which is told the last answer; 20 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub turns: Option<u32>,
}

/// One webhook, which is one forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The kind of forge.
    pub forge: ForgeKind,
    /// Where the secret is that the forge signs its deliveries with: a variable of the host, or `file:/path/to/it`.
    pub secret_ref: String,
    /// The address of its API, such as `https://git.example.com/api/v1`.
    pub api_url: String,
    /// Where the token of the agents' account is: a variable of the host, or `file:/path/to/it`.
    pub token_ref: String,
    /// The agents' account there: whom a comment has to mention, and whose own doings start nothing.
    pub account: String,
    /// Who may start agents. Whoever one of these is about may.
    pub allow: Allowed,
    /// Further accounts that are no persons, and never start anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bots: Vec<String>,
}

/// Kinds of forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// GitHub, or what behaves like it. Not tried against the real service.
    Github,
}

/// Who may start agents (D3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allowed {
    /// Accounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Teams, `organisation/team`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Everybody with at least this permission on the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
}

/// A permission on a repository, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// May push.
    Write,
    /// May administer.
    Admin,
}

/// What is run for which events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchRule {
    /// The webhook; any unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Repositories, `owner/name`; `owner/*` is all of an owner's.
    pub repositories: Vec<String>,
    /// Events.
    pub events: Vec<EventKind>,
    /// For `labelled`: the label that has to be put on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether drafts count; they do not unless this is true. A comment counts anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drafts: bool,
    /// What is done: `start` unless given.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// The agent; needed unless the mode is `ignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Bottles to use instead of the agent's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bottles: Vec<BottleName>,
    /// What the agent is told; what happened follows it, quoted. `{repository}`, `{number}`, `{event}` and `{actor}` are
    /// filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What is in the workspace: `none` unless given.
    #[serde(default, skip_serializing_if = "Checkout::is_default")]
    pub checkout: Checkout,
}

/// The events that a rule can be about (D2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A pull request was opened.
    Opened,
    /// It was opened again.
    Reopened,
    /// Commits were pushed to it.
    Pushed,
    /// A label was put on it.
    Labelled,
    /// It was assigned to the agents' account.
    Assigned,
    /// A comment mentions the agents' account.
    Comment,
    /// A review approves it.
    Approved,
    /// A review rejects it.
    Rejected,
    /// A review only comments.
    Commented,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Goes on with the pull request's conversation, or begins one.
    #[default]
    Start,
    /// Only goes on with one.
    Resume,
    /// Nothing.
    Ignore,
}

/// What of the repository is in the workspace. The bottle needs the repository in its git gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checkout {
    /// Nothing.
    #[default]
    None,
    /// The branch that would be changed.
    Base,
    /// The branch with the change, so that it can be pushed to; the one that would be changed when it is in a fork.
    Head,
}

impl Mode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Checkout {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl EventKind {
    /// As in a rule.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Pushed => "pushed",
            Self::Labelled => "labelled",
            Self::Assigned => "assigned",
            Self::Comment => "comment",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Commented => "commented",
        }
    }
}

/// Where webhooks are taken, unless the file says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8466);
const TURNS: u32 = 20;

impl DispatchFile {
    /// Where it is.
    #[must_use]
    pub fn file(home: &Home) -> PathBuf {
        home.root().join("dispatch.yaml")
    }

    /// Reads it, if it is there.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(home: &Home) -> Result<Option<Self>, FileProblems> {
        let path = Self::file(home);
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let text = read(&path, Links::Followed).map_err(|message| FileProblems::whole(&path, message))?;
        Self::parse(&path, &text).map(Some)
    }

    /// Reads its text. `path` is only named in problems.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileProblems> {
        parse_dispatch(path, text)
    }

    /// Where webhooks are taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen.as_ref().and_then(|listen| listen.parse().ok()).unwrap_or(LISTEN)
    }

    /// Turns of one session.
    #[must_use]
    pub fn turns(&self) -> u64 {
        u64::from(self.turns.unwrap_or(TURNS))
    }
}

#[cfg(test)]
mod tests;
