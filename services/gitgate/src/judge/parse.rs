//! What a commit, a tag and a tree say, read from their bytes. Nothing of an object is skipped: what these readers do not
//! name is still part of the bytes that are scanned.

mod header;
mod ignore;
mod tree;

pub use header::{Commit, Headers, InvalidHeader, Tag};
pub use ignore::{Fingerprint, Ignored};
pub use tree::{Entry, InvalidTree, Mode, entries};
