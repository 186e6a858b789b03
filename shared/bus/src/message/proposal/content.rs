//! What is asked for: one type, so that nothing else can be (S2, invariant 6).

use base::id::ExchangeId;
use policy::{EgressDelta, Route};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::push::Finding;

/// What a proposal asks for. Every text in it comes from the agent or from what the agent sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Content {
    /// Requests that no route allows.
    Egress(EgressDelta),
    /// A held request in which a detector found something.
    TokenMatch(TokenMatch),
    /// Findings that the pushed files excuse themselves.
    GitleaksAllow(GitleaksAllow),
    /// A push that changes CI workflow files.
    WorkflowChange(WorkflowChange),
    /// A ref that the rules do not allow.
    RefGrant(RefGrant),
    /// Another Dockerfile for the bottle.
    Capability(Capability),
}

/// A kind of [`Content`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalKind {
    /// [`Content::Egress`]
    Egress,
    /// [`Content::TokenMatch`]
    TokenMatch,
    /// [`Content::GitleaksAllow`]
    GitleaksAllow,
    /// [`Content::WorkflowChange`]
    WorkflowChange,
    /// [`Content::RefGrant`]
    RefGrant,
    /// [`Content::Capability`]
    Capability,
}

impl Content {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> ProposalKind {
        match self {
            Self::Egress(_) => ProposalKind::Egress,
            Self::TokenMatch(_) => ProposalKind::TokenMatch,
            Self::GitleaksAllow(_) => ProposalKind::GitleaksAllow,
            Self::WorkflowChange(_) => ProposalKind::WorkflowChange,
            Self::RefGrant(_) => ProposalKind::RefGrant,
            Self::Capability(_) => ProposalKind::Capability,
        }
    }
}

impl ProposalKind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::TokenMatch => "token-match",
            Self::GitleaksAllow => "gitleaks-allow",
            Self::WorkflowChange => "workflow-change",
            Self::RefGrant => "ref-grant",
            Self::Capability => "capability",
        }
    }

    /// Whether approving it may let a secret out, a forge's own included, which workflows get: then a reason is required
    /// (S5).
    #[must_use]
    pub fn is_about_a_secret(self) -> bool {
        matches!(self, Self::TokenMatch | Self::GitleaksAllow | Self::WorkflowChange)
    }
}

/// Something that looks like a secret is about to leave in a request, which waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenMatch {
    /// The request.
    pub request: ExchangeId,
    /// Its method.
    pub method: String,
    /// `https` or `http`.
    pub scheme: String,
    /// The host it goes to.
    pub host: String,
    /// The port, if it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path, without what was found.
    pub path: String,
    /// Which detector found it.
    pub detector: String,
    /// Where: the body, a header, the query.
    pub surface: String,
    /// The encodings that were undone to find it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// Stands for the value: a keyed digest in hex, equal for equal values of one run of the proxy.
    pub value: String,
}

/// Findings in a push that an inline comment or an ignore file of the repository excuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitleaksAllow {
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// The objects that an approval is bound to, in hex.
    pub objects: Vec<String>,
    /// What was found; places, never values.
    pub findings: Vec<Finding>,
}

/// A push that changes what the forge runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowChange {
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// The full name of the ref.
    pub name: String,
    /// The object that an approval is bound to.
    pub new: String,
    /// The workflow files that differ.
    pub paths: Vec<String>,
}

/// A change of a ref that the repository's rules do not allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefGrant {
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// The full name of the ref.
    pub name: String,
    /// What happens to it.
    pub change: RefChange,
    /// The object it points at; absent for a new ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The object it should point at; absent for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What happens to a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefChange {
    /// It is made.
    Create,
    /// It moves on.
    Update,
    /// It moves, and commits are lost.
    Force,
    /// It goes.
    Delete,
}

/// The bottle needs another image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The whole Dockerfile, at most 64 KiB.
    pub dockerfile: String,
}

/// What an operator grants instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Edited {
    /// Other requests.
    Delta {
        /// Them.
        delta: EgressDelta,
    },
    /// This whole route, instead of the host's own if it has one. The only way to a credential, a detector setting or
    /// an address, and only an operator's.
    Route {
        /// It.
        route: Box<Route>,
    },
    /// Another Dockerfile.
    Dockerfile {
        /// It, at most 64 KiB.
        dockerfile: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_cannot_carry_what_only_an_operator_may_set() {
        let plain = r#"{"kind":"egress","host":"a.example"}"#;
        assert!(serde_json::from_str::<Content>(plain).is_ok());
        for key in [
            "auth",
            "dlp",
            "tls",
            "git",
            "allow_private",
            "connect_to",
            "mount",
            "role",
            "bottle",
            "token_ref",
        ] {
            let text = format!(r#"{{"kind":"egress","host":"a.example","{key}":null}}"#);
            let refused = serde_json::from_str::<Content>(&text).unwrap_err().to_string();
            assert!(refused.contains("unknown field"), "{key}: {refused}");
        }
    }
}
