//! What may be in an archive.

/// How much may be in an archive. More is an error, never a silent cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, unpacked; holes count.
    pub bytes: u64,
    /// Files, directories and links together.
    pub entries: u64,
}

/// What becomes of something that is neither a regular file nor a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// It is packed as it is; only for symbolic links, of which the target's text is packed.
    Keep,
    /// It is left out, and counted.
    Skip,
    /// It is an error.
    Refuse,
}

/// How a tree is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What becomes of symbolic links. They are never followed.
    pub links: Odd,
    /// What becomes of sockets, pipes and devices; they are never kept nor opened.
    pub specials: Odd,
    /// Whether the tree is in use: what goes away meanwhile is passed over, a file that becomes shorter is filled up with
    /// zeros, and what cannot be read is left out; the last two are counted. Otherwise each of them is an error.
    pub in_use: bool,
    /// How much there may be.
    pub limits: Limits,
}

/// What was found, packed or unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Regular files.
    pub files: u64,
    /// Directories that have an entry of their own.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// What was left out: links, sockets, pipes and devices.
    pub skipped: u64,
    /// What was left out because it could not be read, and files that became shorter while they were.
    pub torn: u64,
}

impl Contents {
    pub(crate) fn entries(&self) -> u64 {
        self.files + self.directories + self.links + self.skipped + self.torn
    }
}
