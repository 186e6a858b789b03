//! Why something cannot be packed or unpacked. Paths in the texts are escaped: agents choose them.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::rules::Limits;

/// Why a tree was not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// There is more than may be packed.
    #[error("there is more than {} or {} entries in it", size(.0.bytes), .0.entries)]
    OverLimit(Limits),
    /// A link, socket, pipe or device where none may be.
    #[error("{} is a {kind}; only files and directories are taken", Shown(.path))]
    Odd {
        /// Which.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A path that was named is not plain and relative.
    #[error("{} is not a plain relative path", Shown(.0))]
    Path(PathBuf),
    /// A file changed while it was read.
    #[error("{} changed while it was packed; try again", Shown(.0))]
    Changed(PathBuf),
    /// Something could not be read.
    #[error("cannot read {}", Shown(.path))]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

/// Why an archive was not unpacked, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It holds more than may be unpacked.
    #[error("the archive holds more than {} or {} entries", size(.0.bytes), .0.entries)]
    OverLimit(Limits),
    /// An entry's path is not plain and relative, or too long.
    #[error("the archive's entry {} has a path that is not plain and relative", Shown(.0))]
    Path(PathBuf),
    /// An entry of a kind that is not taken.
    #[error("the archive's entry {} is of a kind that is not taken here ({kind})", Shown(.path))]
    Kind {
        /// Which.
        path: PathBuf,
        /// The kind, or tar's letter for it.
        kind: String,
    },
    /// It is no such archive, or it is cut off.
    #[error("the archive cannot be read")]
    Archive(#[source] io::Error),
    /// Something could not be made: it is in the way of itself, or the disk is full.
    #[error("cannot make {}", Shown(.path))]
    Make {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        let bytes = self.0.as_os_str().as_bytes();
        write!(f, "\"{}\"", bytes[..bytes.len().min(MOST)].escape_ascii())?;
        if bytes.len() > MOST { f.write_str(" (cut)") } else { Ok(()) }
    }
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}
