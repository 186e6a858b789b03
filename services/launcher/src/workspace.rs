//! What is in a bottle's workspace before its agent starts (L9). Nothing is ever written back.

use archive::Limits;
use base::id::WorkspaceId;
use bus::message::start::Workspace;
use manifest::Resolved;

use crate::environment::is_address_of;

/// What an uploaded workspace may hold.
pub const WORKSPACE_LIMITS: Limits = Limits { bytes: 4 << 30, entries: 1_000_000 };
/// The directory below the agent's home.
pub(crate) const DIRECTORY: &str = "workspace";

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspacePlan {
    /// From a repository, through the bottle's git gate.
    Clone {
        /// An address that leads to the gate.
        url: String,
        /// What is checked out; the default branch unless given.
        reference: Option<Reference>,
    },
    /// From the object store.
    Upload(WorkspaceId),
}

/// What is checked out, as a text that git cannot take for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A branch or a tag.
    Name(String),
    /// A commit, by its whole id.
    Commit(String),
}

impl WorkspacePlan {
    /// Makes the plan for what a request asks for.
    ///
    /// # Errors
    /// None of the bottle's repositories has that address, or the reference cannot be one.
    pub(crate) fn of(asked: &Workspace, resolved: &Resolved) -> Result<Self, String> {
        let checkout = match asked {
            Workspace::Archive(upload) => return Ok(Self::Upload(upload.archive.clone())),
            Workspace::Git(checkout) => checkout,
        };
        let repos = &resolved.bottle.repos;
        if !repos.values().any(|repo| is_address_of(&repo.url, &checkout.git)) {
            let known: Vec<String> = repos
                .iter()
                .map(|(name, repo)| format!("{name} ({})", base::inert(&repo.url, 200)))
                .collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let given = base::inert(&checkout.git, 200);
            return Err(format!(
                "no repository of the bottle has the address {given}: write it under git-gate.repos, or choose one of \
                 those that it has: {known}"
            ));
        }
        let reference = checkout.reference.as_deref().map(Reference::of).transpose()?;
        Ok(Self::Clone { url: checkout.git.clone(), reference })
    }
}

impl Reference {
    /// Whether git takes the text for a reference, by the rules of `git check-ref-format`, or it is a commit's whole id.
    ///
    /// # Errors
    /// What a reference may be.
    pub fn of(text: &str) -> Result<Self, String> {
        let is_hex = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if is_hex && matches!(text.len(), 40 | 64) {
            return Ok(Self::Commit(text.to_owned()));
        }
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
        let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
        let good = text.len() <= 255
            && !text.starts_with('-')
            && !text.ends_with('.')
            && !text.contains("..")
            && !text.contains("@{")
            && text != "@"
            && !text.contains(odd)
            && text.split('/').all(part);
        if good {
            return Ok(Self::Name(text.to_owned()));
        }
        let given = base::inert(text, 80);
        Err(format!(
            "{given} is no branch, tag or commit: a commit is given in full, and nothing begins with `-`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_nothing_else_to_git() {
        for name in ["main", "agent/x", "v1.0", "feature/a-b_c", "été", "0a1b2c3"] {
            assert_eq!(Reference::of(name), Ok(Reference::Name(name.to_owned())));
        }
        for commit in ["0123456789abcdef0123456789abcdef01234567".to_owned(), "a".repeat(64)] {
            assert_eq!(Reference::of(&commit), Ok(Reference::Commit(commit.clone())));
        }
        for bad in [
            "",
            "-",
            "--upload-pack=x",
            "-b",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "[a]",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.",
            "a.lock",
            "a.lock/b",
            "@",
            "a@{1}",
            "a\nb",
            "a\u{1b}b",
            &"a".repeat(256),
        ] {
            assert!(Reference::of(bad).is_err(), "{bad:?}");
        }
    }
}
