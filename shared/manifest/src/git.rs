//! `git-gate`: who commits, and which repositories the git gate serves (G1, G6).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bottle's `git-gate` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GitGate {
    /// The author and committer of what the agent commits. Claimed, not vouched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<GitUser>,
    /// The repositories by name. An empty map takes away what was inherited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repos: Option<BTreeMap<String, Repo>>,
}

/// An agent's `git-gate` section: the identity and nothing else (M2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentGit {
    /// The author and committer of what the agent commits, over the bottle's, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<GitUser>,
}

/// A git identity, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GitUser {
    /// `user.name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `user.email`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A repository that the agent may clone, fetch and push through the gate (G1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repo {
    /// `ssh://user@host[:port]/path`, `user@host:path`, or `https://host/path`.
    pub url: String,
    /// The server's public key, pinned: its type and its base64 text. Required for SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// The key that the gate shows to an SSH server. Required for SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RepoKey>,
    /// For https: where the token is found, as in `auth.token_ref` of a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ref: Option<String>,
    /// Which refs a push may touch; creating and fast-forwarding branches other than the default one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refs: Option<RefRules>,
    /// What becomes of a push that changes files which the forge runs (G7); it waits for a person unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<WorkflowRule>,
}

/// What becomes of a push that changes CI workflow files (G7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowRule {
    /// It waits for a person.
    #[default]
    Ask,
    /// It passes like any other.
    Allow,
    /// It is refused.
    Refuse,
}

/// Where the gate's key for a repository comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "lowercase", deny_unknown_fields)]
pub enum RepoKey {
    /// A private key file of the host.
    Static {
        /// The file, from the root or from the home (`~/`).
        path: String,
    },
    /// A deploy key that is registered for one launch at a Gitea or Forgejo forge (G8).
    Gitea {
        /// The forge's address; `https://` and the repository's host unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_url: Option<String>,
        /// The host's environment variable that holds the forge's token.
        forge_token_env: String,
    },
}

/// Patterns of refs that a push may touch, in each of four ways (G6). A list that is given replaces its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefRules {
    /// New refs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Vec<String>>,
    /// Fast-forward updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Vec<String>>,
    /// Updates that are no fast-forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<Vec<String>>,
    /// Removals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<Vec<String>>,
}
