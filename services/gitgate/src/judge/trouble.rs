//! Why a push cannot be judged. What cannot be judged is refused.

use std::io;

use super::place::Part;

/// See the module. Texts are for the person who pushes: inert, and without any value that was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Git failed, or said something that nobody expected of it.
    #[error("git failed at {doing}: {why}")]
    Git {
        /// What it was to do.
        doing: &'static str,
        /// What it said, inert.
        why: String,
    },
    /// A file or a process of the gate's own.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Time is up.
    #[error("looking through the push took longer than {seconds} s: push fewer commits at a time")]
    TimeUp {
        /// The limit.
        seconds: u64,
    },
    /// The push went away.
    #[error("the push was given up")]
    GivenUp,
    /// The push is larger than it may be.
    #[error("the push has more than {most} {what}: push fewer commits at a time, or without what is large")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// An object is not what it should be.
    #[error("object {id} cannot be judged: {why}")]
    Object {
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
    /// Something in an object cannot be looked through.
    #[error("{place} cannot be looked through: {why}")]
    Unscannable {
        /// Where; inert.
        place: String,
        /// Why.
        why: String,
    },
    /// The same, before the object has a name.
    #[error("part of an object cannot be looked through: {why}")]
    In {
        /// Its place in the list.
        object: u32,
        /// The part.
        part: Part,
        /// Why.
        why: String,
    },
    /// The second opinion is not to be had.
    #[error(
        "gitleaks gave no opinion that can be believed: {why}; push again, and tell the operator if it stays so"
    )]
    SecondOpinion {
        /// Why.
        why: String,
    },
}

impl Trouble {
    /// Wraps an error of the operating system.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn git(doing: &'static str, why: impl Into<String>) -> Self {
        Self::Git { doing, why: why.into() }
    }

    pub(crate) fn object(id: &impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Object { id: id.to_string(), why: why.to_string() }
    }
}
