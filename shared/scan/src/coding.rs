//! Content codings: a body's bytes as they are meant, whatever they were packed with (RFC 9110, section 8.4).
//!
//! [`Codings::parse`] reads `content-encoding`; a [`Decoder`] undoes what it names, piece by piece and in constant
//! memory, and refuses what could not be judged: an unknown coding, a broken or cut-off body, bytes behind its end,
//! and a small body that would unpack into far too much.

mod decoder;
mod stage;

use std::fmt;

use base::inert::inert;

pub use decoder::{Decoder, Progress};

/// The most codings one body may have. Nobody sends more than two; each one multiplies what a byte can unpack into.
pub const MOST_CODINGS: usize = 3;

/// How much of an unknown coding's name an error repeats, in characters.
const NAME_SHOWN: usize = 40;

/// One content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip` and `x-gzip` (RFC 1952), of one or more members.
    Gzip,
    /// `deflate`: a zlib stream (RFC 1950), or the bare deflate stream (RFC 1951) that some clients send instead.
    Deflate,
    /// `br` (RFC 7932), with the windows of that standard: up to 16 MiB.
    Brotli,
    /// `zstd` (RFC 8878), of one or more frames, with the window that RFC 9659 allows: up to 8 MiB.
    Zstd,
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}

/// The codings of one body, in the order they were applied; none means the body is as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codings(Vec<Coding>);

impl Codings {
    /// Reads the values of all `content-encoding` fields of a message, in their order.
    ///
    /// Names are compared without case; `identity` and empty list elements say nothing and are skipped.
    ///
    /// # Errors
    ///
    /// [`CodingError::Unknown`] for a coding that cannot be undone, [`CodingError::TooMany`] for more than
    /// [`MOST_CODINGS`].
    pub fn parse<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Result<Self, CodingError> {
        let mut codings = Vec::new();
        for name in values.into_iter().flat_map(|value| value.split(|&b| b == b',')) {
            let name = name.trim_ascii();
            let coding = match name.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Coding::Gzip,
                b"deflate" => Coding::Deflate,
                b"br" => Coding::Brotli,
                b"zstd" => Coding::Zstd,
                _ => {
                    return Err(CodingError::Unknown {
                        name: inert(&String::from_utf8_lossy(name), NAME_SHOWN),
                    });
                }
            };
            if codings.len() == MOST_CODINGS {
                return Err(CodingError::TooMany);
            }
            codings.push(coding);
        }
        Ok(Self(codings))
    }

    /// Whether the body is as it stands.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// The codings, in the order they were applied.
    #[must_use]
    pub fn as_slice(&self) -> &[Coding] {
        &self.0
    }
}

/// How much a body may unpack into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most bytes of output for each byte of input, beyond [`Bounds::FREE`].
    pub ratio: u64,
    /// The most bytes of output, of every coding in the list.
    pub bytes: u64,
}

impl Bounds {
    /// Output that needs no input to show for it, in bytes.
    ///
    /// Real bodies that pack extremely well are small ones: a few MiB of zeros, a sparse matrix, a log of one line.
    /// Unpacking this much costs as much as any ordinary body of the size, so there is nothing to win with it.
    pub const FREE: u64 = 8 << 20;
}

/// A ratio of 200 and 4 GiB.
///
/// Large bodies of real services unpack by 5 to 20, repetitive JSON lines by 50 to 100. The densest that gzip can is
/// 1032, brotli and zstd can be a hundred times denser, and nested codings multiply.
impl Default for Bounds {
    fn default() -> Self {
        Self { ratio: 200, bytes: 4 << 30 }
    }
}

/// Why a body's codings cannot be undone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// A coding outside [`Coding`]. `name` is harmless to show.
    #[error("content coding {name:?} is unknown: send gzip, deflate, br, zstd, or the body as it is")]
    Unknown {
        /// The name, made inert and cut.
        name: String,
    },
    /// More than [`MOST_CODINGS`].
    #[error("more than {MOST_CODINGS} content codings on one body: send it with one")]
    TooMany,
    /// The bytes are not what the coding says, or need a larger window or a dictionary.
    #[error("the body is not valid {0}")]
    Malformed(Coding),
    /// The body ended before its coding did.
    #[error("the body ends in the middle of its {0} data")]
    Truncated(Coding),
    /// Bytes behind the end of the coded data.
    #[error("the body goes on after the end of its {0} data")]
    Trailing(Coding),
    /// More output per input than [`Bounds::ratio`].
    #[error("the body unpacks into more than {0} times its size: send it with no content coding")]
    TooDense(u64),
    /// More output than [`Bounds::bytes`].
    #[error("the body unpacks into more than {0} bytes")]
    TooLarge(u64),
}

#[cfg(test)]
mod tests;
