//! Commits: what a running bottle's agent has made, kept without stopping it (L8). A commit is an archive of the home, which
//! is all that an agent can write to for good, and on a backend with images a name that keeps the image there. A bottle that
//! goes on from it begins with both.

mod desk;
mod note;
mod packing;

use archive::Limits;
use base::id::{ExchangeId, Slug};

pub(crate) use desk::{Desk, Order, Orders, Outcome, Progress};
pub(crate) use note::{CommitNote, abandon};
pub(crate) use packing::{Packed, store};

/// Files, directories and links that a commit may hold; its bytes are [`crate::LauncherConfig::commit`].
const ENTRIES: u64 = 1_000_000;

/// How much a commit may hold.
pub(crate) fn limits(bytes: u64) -> Limits {
    Limits { bytes, entries: ENTRIES }
}

/// What the archive of a commit is called.
pub(crate) fn archive_name(bottle: &Slug, request: &ExchangeId) -> String {
    format!("{bottle}.{request}")
}
