//! Identifiers that were checked once, on the way in.
//!
//! Every one of them is safe as a file name and as one token of a bus subject.

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct InvalidId {
    what: &'static str,
    given: String,
    rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path, $rule:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    let given = crate::inert(text, 80);
                    Err(InvalidId { what: $what, given, rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $rule })
            }
        }
    };
}

id! {
    /// The name of an agent: the stem of its file (M1).
    AgentName, "agent name", is_name,
    "a lower-case letter, then lower-case letters, digits and hyphens, at most 50 characters",
    "^[a-z][a-z0-9-]{0,49}$"
}
id! {
    /// The name of a bottle definition: the stem of its file (M1).
    BottleName, "bottle name", is_name,
    "a lower-case letter, then lower-case letters, digits and hyphens, at most 50 characters",
    "^[a-z][a-z0-9-]{0,49}$"
}
id! {
    /// A running or kept bottle: the agent's name, a hyphen and five base-36 characters (L6).
    Slug, "bottle", is_slug,
    "an agent's name, a hyphen and five characters of 0-9 and a-z",
    "^[a-z][a-z0-9-]{0,49}-[0-9a-z]{5}$"
}
id! {
    /// The id of a start request, chosen by whoever publishes it; equal ids are the same request.
    RequestId, "request id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}
id! {
    /// One launcher process's lasting identity: one per home directory and host.
    LauncherId, "launcher id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}
id! {
    /// A workspace that was uploaded for a start request.
    WorkspaceId, "workspace id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}
id! {
    /// A proposal that waits for a person, or was answered.
    ProposalId, "proposal id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}
id! {
    /// One request that the egress proxy judged.
    ExchangeId, "exchange id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}

id! {
    /// One terminal that is attached to a bottle.
    ClientId, "client id", is_token,
    "1 to 64 of A-Z, a-z, 0-9, hyphen and underscore",
    "^[A-Za-z0-9_-]{1,64}$"
}

/// The longest agent or bottle name.
pub const NAME_LIMIT: usize = 50;
const SLUG_SUFFIX: usize = 5;

fn is_name(text: &str) -> bool {
    text.len() <= NAME_LIMIT
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_slug(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(name, suffix)| {
        is_name(name)
            && suffix.len() == SLUG_SUFFIX
            && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl Slug {
    /// A new slug for a bottle of this agent. Sixty million are possible for each; whoever records it creates the
    /// record only if it is absent, so a collision is noticed.
    #[must_use]
    pub fn random(agent: &AgentName) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut rng = rand::rng();
        let suffix: String = (0..SLUG_SUFFIX).map(|_| char::from(DIGITS[rng.random_range(0..36)])).collect();
        Self(format!("{agent}-{suffix}"))
    }

    /// The agent's part of the slug.
    #[must_use]
    pub fn agent(&self) -> &str {
        // A slug always has its hyphen and suffix: it was checked on the way in.
        &self.0[..self.0.len() - SLUG_SUFFIX - 1]
    }
}

macro_rules! sortable {
    ($($name:ident),*) => {$(
        impl $name {
            /// A new id that sorts by the time it was made.
            #[must_use]
            pub fn random() -> Self {
                Self(ulid::Ulid::generate().to_string())
            }
        }
    )*};
}
sortable!(RequestId, LauncherId, WorkspaceId, ProposalId, ExchangeId, ClientId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses() {
        for good in ["a", "reviewer", "claude-4", "a--b"] {
            assert!(good.parse::<AgentName>().is_ok(), "{good}");
        }
        for bad in ["", "A", "4a", "-a", "a.b", "a b", "a/b", "..", "é", "a\n", &"a".repeat(51)] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?}");
        }
        for bad in ["reviewer", "reviewer-", "reviewer-ABCDE", "reviewer-1234", "x.y-12345", "*-12345", ">"] {
            assert!(bad.parse::<Slug>().is_err(), "{bad:?}");
        }
        for bad in ["", "a.b", "*", ">", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_random_slug_is_a_slug_of_its_agent() {
        let agent: AgentName = "code-reviewer".parse().unwrap();
        let slug = Slug::random(&agent);
        assert_eq!(slug.as_str().parse::<Slug>().as_ref(), Ok(&slug));
        assert_eq!(slug.agent(), "code-reviewer");
    }

    #[test]
    fn an_error_shows_hostile_text_inert() {
        let error = "\u{1b}[2J".parse::<Slug>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}
