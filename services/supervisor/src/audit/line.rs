//! What verifying needs to know of a record: its place in the chain, and its seal.

use std::borrow::Cow;
use std::fmt;

use bus::message::Version;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What the first record follows.
    pub const ZERO: Self = Self([0; 32]);

    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// From 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        (!text.bytes().any(|byte| byte.is_ascii_uppercase())).then_some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no SHA-256 in lower-case hexadecimal"))
    }
}

/// A record that was seen at its place: nothing before it can have changed as long as it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Its place in the trail.
    pub sequence: u64,
    /// The hash of its stored bytes.
    pub hash: Digest,
}

/// A record, as far as verifying reads it.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "v")]
    _v: Version<1>,
    pub(super) sequence: u64,
    pub(super) previous: Digest,
    #[serde(borrow)]
    pub(super) decision: Kind<'a>,
    #[serde(borrow, default)]
    pub(super) signature: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow)]
    pub(super) is: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) key: Option<Cow<'a, str>>,
}

/// How a signature is written behind what it is over.
pub(super) const SIGNATURE: &str = r#","signature":""#;
/// Its end.
pub(super) const END: &str = r#""}"#;
/// The digits of an Ed25519 signature.
pub(super) const SIGNATURE_DIGITS: usize = 128;

impl<'a> Line<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Whether it is one of those that must be signed.
    pub(super) fn must_be_signed(&self) -> bool {
        matches!(&*self.decision.is, "opened" | "checkpoint")
    }
}

/// The part of a record's bytes that its signature is over, and the signature, if they are written as they must be.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &str)> {
    let signed = bytes.len().checked_sub(SIGNATURE.len() + SIGNATURE_DIGITS + END.len())?;
    let (signed, rest) = bytes.split_at(signed);
    let signature = std::str::from_utf8(rest).ok()?.strip_prefix(SIGNATURE)?.strip_suffix(END)?;
    Some((signed, signature))
}
