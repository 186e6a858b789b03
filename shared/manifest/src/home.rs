//! Where manifests are (M1, M2).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::document::FILE_LIMIT;
use crate::problem::Warning;

/// The operator's own directory: the only place that bottles are loaded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The directory itself, which need not exist.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where bottles are.
    #[must_use]
    pub fn bottles(&self) -> PathBuf {
        self.root.join("bottles")
    }

    /// Where agents are.
    #[must_use]
    pub fn agents(&self) -> PathBuf {
        self.root.join("agents")
    }
}

/// The root of the repository that a directory belongs to: the nearest one at or above it that has a `.git`,
/// otherwise the directory itself if it has a `.bot-bottle`.
#[must_use]
pub fn find_repo(directory: &Path) -> Option<PathBuf> {
    let has = |directory: &Path, name: &str| directory.join(name).symlink_metadata().is_ok();
    let root = directory.ancestors().find(|directory| has(directory, ".git"));
    root.or_else(|| Some(directory).filter(|directory| has(directory, ".bot-bottle"))).map(Path::to_owned)
}

/// Whether links may lead out of a directory: the operator's may, a cloned repository's may not, since it would
/// choose which file of the host becomes a prompt or is quoted in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    Refused,
}

/// Files looked at in one directory; the rest is passed over with a warning.
const ENTRIES: usize = 1000;

/// The manifest files of a directory by stem and path, in order. A directory that is not there has none.
pub(crate) fn list(directory: &Path, links: Links, warnings: &mut Vec<Warning>) -> Vec<(String, PathBuf)> {
    let mut warn = |path: &Path, message: String| warnings.push(Warning { path: path.to_owned(), message });
    if links == Links::Refused && directory.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        warn(directory, "a repository's directory of agents cannot be a link; it was passed over".to_owned());
        return Vec::new();
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            warn(directory, format!("cannot list this directory: {error}"));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    if paths.len() > ENTRIES {
        warn(directory, format!("{} entries are too many; only the first {ENTRIES} were read", paths.len()));
        paths.truncate(ENTRIES);
    }
    let mut files = Vec::new();
    for path in paths {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match stem.filter(|_| path.extension().is_some_and(|extension| extension == "md")) {
            Some(stem) => files.push((stem.to_owned(), path)),
            None => warn(&path, "passed over: a manifest is a file NAME.md".to_owned()),
        }
    }
    files
}

/// A file's text, or why it cannot be had.
pub(crate) fn read(path: &Path, links: Links) -> Result<String, String> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => "a repository's agent cannot be a link".to_owned(),
        error => format!("cannot open it: {error}"),
    })?;
    let mut file = File::from(file);
    let meta = file.metadata().map_err(|error| format!("cannot look at it: {error}"))?;
    if !meta.is_file() {
        return Err("this is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.by_ref()
        .take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read it: {error}"))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err("this is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })
}

/// Whether two paths lead to the same directory.
pub(crate) fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
