//! Where in a push something stands.

use std::fmt;

/// A part of an object, or of the push itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// A file's contents.
    File,
    /// What a file's contents unpack into; how.
    Inside(Box<str>),
    /// A header of a commit or a tag, by name.
    Header(Box<str>),
    /// The header of a commit or a tag, as a whole.
    Headers,
    /// The message of a commit or a tag.
    Message,
    /// Names in a directory, or what stands for the objects in it.
    Names,
}

/// A finding in a push, before it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The object's place in the list.
    pub(crate) object: u32,
    pub(crate) part: Part,
    pub(crate) rule: String,
    /// From 1, in a file or in what it unpacks into.
    pub(crate) line: Option<u64>,
    pub(crate) excuse: Excuse,
}

/// Whether the pushed files say that a finding is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// Nothing can excuse it: it is no file's line, or a secret that is known for certain.
    Impossible,
    /// Nothing on its line does.
    None,
    /// A comment on its line does.
    Comment,
    /// An ignore file does.
    Ignored,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("contents"),
            Self::Inside(how) => write!(f, "unpacked from {how}"),
            Self::Header(name) => write!(f, "the {name} header"),
            Self::Headers => f.write_str("the headers"),
            Self::Message => f.write_str("the message"),
            Self::Names => f.write_str("the names of files and directories"),
        }
    }
}

/// What finds a comment that excuses its line.
const COMMENTS: [&str; 4] = ["gitleaks:allow", "trufflehog:ignore", "ggignore", "pragma: allowlist secret"];

/// Whether a line carries a comment that other scanners would take for an excuse.
pub(crate) fn excuses_itself(line: &[u8]) -> bool {
    COMMENTS.iter().any(|comment| memchr::memmem::find(line, comment.as_bytes()).is_some())
}

/// The line of a text that byte `at` stands on.
pub(crate) fn line_at(text: &[u8], at: usize) -> &[u8] {
    let at = at.min(text.len());
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
    &text[start..end]
}
