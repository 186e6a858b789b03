//! What is wrong with a list of commands, in words that the person who pushes reads.

use super::{Format, OPTION_BYTES, OPTIONS};
use crate::pktline::NoLength;
use crate::reference::{InvalidRefName, RefName};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not what git sends.
    #[error(transparent)]
    NoLength(#[from] NoLength),
    /// A mark where none may be.
    #[error("the list of commands has a mark in it that belongs elsewhere")]
    Mark,
    /// Not UTF-8.
    #[error("a name, a capability or a push option is not UTF-8")]
    Text,
    /// Neither an update nor anything else that git sends.
    #[error("a command is not of the form OLD NEW REF")]
    Command,
    /// More refs than a push may touch.
    #[error("this push touches more than {limit} refs; push fewer at a time")]
    TooMany {
        /// How many it may.
        limit: usize,
    },
    /// A ref's name that is none.
    #[error("{name}: {why}")]
    Name {
        /// As it was sent, made inert.
        name: String,
        /// What is wrong with it.
        why: InvalidRefName,
    },
    /// The same ref in two commands.
    #[error("{0} is there twice")]
    Twice(RefName),
    /// Another kind of object names than the repository has.
    #[error("the repository's objects are named by {}, and this push names others", .0.as_str())]
    Format(Format),
    /// `git push --signed`.
    #[error("signed pushes are not taken: nothing would check the signature; push without --signed")]
    Signed,
    /// Something that was not offered.
    #[error("the capability {0} was not offered")]
    Capability(String),
    /// A push option that cannot be passed on.
    #[error("a push has at most {OPTIONS} options of {OPTION_BYTES} bytes each, without control characters")]
    Option,
}
