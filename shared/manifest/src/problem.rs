//! What is wrong with a file, as a compiler would say it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A place in a file, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileProblem {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// The key, such as `egress.routes[2].host`; empty where the whole file is meant. Inert.
    pub key: String,
    /// What is wrong and what would be right. Inert.
    pub message: String,
}

impl fmt::Display for FileProblem {
    /// `path:line:column: key: message`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", inert_path(&self.path), self.place.line, self.place.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a file, in the order of its lines; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FileProblems(Vec<FileProblem>);

impl FileProblems {
    /// One problem of a whole file.
    pub(crate) fn whole(path: &Path, message: impl Into<String>) -> Self {
        let path = path.to_owned();
        Self(vec![FileProblem { path, place: Place::START, key: String::new(), message: message.into() }])
    }

    pub(crate) fn sorted(mut problems: Vec<FileProblem>) -> Self {
        problems.sort_by(|a, b| (a.place, &a.key).cmp(&(b.place, &b.key)));
        problems.dedup();
        Self(problems)
    }

    /// In the order of their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, FileProblem> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a FileProblems {
    type Item = &'a FileProblem;
    type IntoIter = std::slice::Iter<'a, FileProblem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for FileProblems {
    /// One problem on each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FileProblems {}

/// Something that was passed over, and why. Nothing is broken by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The file or directory.
    pub path: PathBuf,
    /// What was passed over and why. Inert.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: warning: {}", inert_path(&self.path), self.message)
    }
}

/// A path as it may be shown: a cloned repository chooses its file names.
pub(crate) fn inert_path(path: &Path) -> String {
    base::inert(&path.to_string_lossy(), 4096)
}
