//! Names of git objects.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object's name is 40 or 64 lower-case hexadecimal digits")]
pub struct InvalidObjectId;

/// The name of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits, not all of them zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(String);

impl ObjectId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a name, or all zeros, which stands for no object.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse_or_none(text: &str) -> Result<Option<Self>, InvalidObjectId> {
        if !is_hex(text) {
            return Err(InvalidObjectId);
        }
        Ok(text.bytes().any(|byte| byte != b'0').then(|| Self(text.to_owned())))
    }
}

/// Whether a text could be an object's name.
fn is_hex(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        Self::parse_or_none(text)?.ok_or(InvalidObjectId)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = InvalidObjectId;

    fn try_from(text: String) -> Result<Self, InvalidObjectId> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> String {
        id.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_formats_are_read_and_nothing_else() {
        for length in [40, 64] {
            assert!("a".repeat(length).parse::<ObjectId>().is_ok());
            assert_eq!(ObjectId::parse_or_none(&"0".repeat(length)), Ok(None));
            assert!("0".repeat(length).parse::<ObjectId>().is_err());
            assert!("A".repeat(length).parse::<ObjectId>().is_err());
            assert!(ObjectId::parse_or_none(&"0".repeat(length - 1)).is_err());
        }
        assert!("é".repeat(20).parse::<ObjectId>().is_err());
    }
}
