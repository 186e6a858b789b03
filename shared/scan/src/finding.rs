//! What was found, without the value.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The name under which a known secret is spoken of: a `token_ref` without its value, or `canary`.
pub type SecretName = Arc<str>;

/// Something that must not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What found it.
    pub detector: Detector,
    /// Where it stands in the scanned bytes, as they arrived, in bytes from the start of the stream.
    pub span: Range<u64>,
    /// The decoders that uncovered it, outermost first; empty for a value that stood there in the clear.
    pub via: Via,
    /// Stands for the value: equal values have equal digests under one key.
    pub digest: Digest,
}

/// Who found something (E9, E11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Detector {
    /// A token's form, by rule id.
    TokenPattern(Arc<str>),
    /// A secret of this bottle.
    KnownSecret(SecretName),
    /// The bottle's canary: a certain leak.
    Canary,
    /// A text too random to be words; warns only.
    Entropy,
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenPattern(rule) => write!(f, "token_patterns/{rule}"),
            Self::KnownSecret(name) => write!(f, "known_secrets/{name}"),
            Self::Canary => f.write_str("canary"),
            Self::Entropy => f.write_str("entropy"),
        }
    }
}

/// The way from the bytes as they arrived to the value.
pub type Via = Vec<Decoding>;

/// One decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decoding {
    /// `%41`.
    Percent,
    /// RFC 4648 sections 4 and 5, with and without padding.
    Base64,
    /// RFC 4648 section 6.
    Base32,
    /// `41`, also `41:42`, `\x41`, `0x41, 0x42`.
    Hex,
    /// `\u0041`, `\x41`, `\/`: JSON and programming languages.
    Escape,
    /// `&#65;`, `&amp;`.
    Entity,
    /// Two bytes a character.
    Utf16,
    /// The values of form, query or multipart fields, one after another.
    Fields,
    /// Letters and digits only.
    Squeezed,
    /// Back to front.
    Reversed,
}

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Percent => "percent",
            Self::Base64 => "base64",
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Escape => "escape",
            Self::Entity => "entity",
            Self::Utf16 => "utf-16",
            Self::Fields => "fields joined",
            Self::Squeezed => "separators removed",
            Self::Reversed => "reversed",
        })
    }
}

/// HMAC-SHA256 of a value under a key that only this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);
