//! Full names of refs, as a client sent them and after the first check.

use std::fmt;
use std::str::FromStr;

/// What is wrong with a ref's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRefName {
    /// Not below `refs/`.
    #[error("a ref's full name begins with refs/")]
    NotFull,
    /// Longer than [`LONGEST`].
    #[error("a ref's name has at most 250 bytes")]
    TooLong,
    /// `git check-ref-format` refuses it, or a terminal would not show it as it is.
    #[error("git does not take such a name for a ref")]
    Malformed,
    /// A part of it could be an object's name, which programs would take it for.
    #[error("a ref whose name looks like an object's is refused, since tools take it for that object")]
    LooksLikeAnObject,
}

/// The longest name, in bytes.
pub const LONGEST: usize = 250;

/// The full name of a ref (`refs/heads/main`): visible ASCII or letters of any script, and what `git check-ref-format`
/// takes. Names of mirrors, notes and forges' own refs are names as well; whether a push may touch them is another
/// question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the branch, if it is one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }

    /// The name of the tag, if it is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.strip_prefix("refs/tags/")
    }
}

impl FromStr for RefName {
    type Err = InvalidRefName;

    /// The rules of git-check-ref-format(1), and two more: nothing invisible, and nothing that looks like an object.
    fn from_str(name: &str) -> Result<Self, InvalidRefName> {
        let rest = name.strip_prefix("refs/").ok_or(InvalidRefName::NotFull)?;
        if name.len() > LONGEST {
            return Err(InvalidRefName::TooLong);
        }
        let forbidden = |c: char| matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        // What is shown as it stands holds nothing invisible, no control character and no mark that turns text around.
        let is_visible = base::inert(name, LONGEST) == name;
        let parts_are_fine = rest
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
        let is_fine = is_visible
            && parts_are_fine
            && rest.contains('/')
            && !name.contains(forbidden)
            && !name.contains("..")
            && !name.contains("@{")
            && !name.ends_with('.');
        if !is_fine {
            return Err(InvalidRefName::Malformed);
        }
        if rest.split('/').any(looks_like_an_object) {
            return Err(InvalidRefName::LooksLikeAnObject);
        }
        Ok(Self(name.to_owned()))
    }
}

/// Git warns of 40 hexadecimal digits and resolves fewer as well; whole words of them that are names are rare.
fn looks_like_an_object(part: &str) -> bool {
    matches!(part.len(), 40 | 64) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused_for_a_reason() {
        for name in ["refs/heads/main", "refs/heads/agent/x-1", "refs/tags/v1.0", "refs/heads/größe"] {
            assert_eq!(name.parse::<RefName>().map(|name| name.to_string()).as_deref(), Ok(name));
        }
        for (name, why) in [
            ("HEAD", InvalidRefName::NotFull),
            ("main", InvalidRefName::NotFull),
            ("refs/stash", InvalidRefName::Malformed),
            ("refs/heads/", InvalidRefName::Malformed),
            ("refs/heads/a..b", InvalidRefName::Malformed),
            ("refs/heads/a\nb", InvalidRefName::Malformed),
            ("refs/heads/a\u{202e}b", InvalidRefName::Malformed),
            ("refs/heads/a.lock", InvalidRefName::Malformed),
            ("refs/heads/-x:y", InvalidRefName::Malformed),
            ("refs/heads/@{u}", InvalidRefName::Malformed),
        ] {
            assert_eq!(name.parse::<RefName>(), Err(why), "{name:?}");
        }
        let object = format!("refs/heads/{}", "ab".repeat(20));
        assert_eq!(object.parse::<RefName>(), Err(InvalidRefName::LooksLikeAnObject));
        let long = format!("refs/heads/{}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<RefName>(), Err(InvalidRefName::TooLong));
    }
}
