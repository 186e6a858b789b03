//! Whose decisions count: `operators` in the supervisor's home, one public key on a line, a name after it.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bus::message::proposal::OperatorId;

/// Why the known operators are not known.
#[derive(Debug, thiserror::Error)]
pub enum OperatorsError {
    /// The file cannot be read or written.
    #[error("cannot use the list of operators {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is no key.
    #[error("{}, line {line}: an operator is a public key (56 characters that begin with U), and a name after it", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Where the list is under a home.
#[must_use]
pub fn file(home: &Path) -> PathBuf {
    home.join("operators")
}

/// Where an operator's own key is under a home.
#[must_use]
pub fn key_file(home: &Path) -> PathBuf {
    home.join("operator.nk")
}

/// The known operators; none if there is no list.
///
/// # Errors
/// [`OperatorsError`]; a list with a broken line is no list.
pub fn read(home: &Path) -> Result<BTreeSet<OperatorId>, OperatorsError> {
    let path = file(home);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(OperatorsError::File { path, source }),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    lines
        .map(|(index, line)| {
            let key = line.split_whitespace().next().unwrap_or_default();
            key.parse().map_err(|_| OperatorsError::Line { path: path.clone(), line: index + 1 })
        })
        .collect()
}

/// Lists an operator, unless it is listed. `name` is for people: `alice@laptop`.
///
/// # Errors
/// As [`read`].
pub fn admit(home: &Path, operator: &OperatorId, name: &str) -> Result<(), OperatorsError> {
    if read(home)?.contains(operator) {
        return Ok(());
    }
    let path = file(home);
    // A person may have left the last line open; the new key would become part of a name.
    let is_open = std::fs::read(&path).is_ok_and(|text| text.last().is_some_and(|byte| *byte != b'\n'));
    let line = format!("{}{operator} {}\n", if is_open { "\n" } else { "" }, base::inert(name, 80));
    let appended = std::fs::OpenOptions::new().create(true).append(true).open(&path).and_then(|mut list| {
        list.write_all(line.as_bytes())?;
        // The operator is told that the key counts; it must count after a power failure, too.
        list.sync_all()?;
        std::fs::File::open(home)?.sync_all()
    });
    appended.map_err(|source| OperatorsError::File { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::message::proposal::OperatorKey;

    #[test]
    fn an_operator_is_listed_once_and_a_broken_list_is_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path()).unwrap(), BTreeSet::new());
        let (a, b) = (OperatorKey::generate().id(), OperatorKey::generate().id());
        for operator in [&a, &b, &a] {
            admit(home.path(), operator, "some\none").unwrap();
        }
        assert_eq!(read(home.path()).unwrap(), BTreeSet::from([a, b]));
        assert_eq!(std::fs::read_to_string(file(home.path())).unwrap().lines().count(), 2);
        let by_hand = format!("{} alice", OperatorKey::generate().id());
        std::fs::write(file(home.path()), by_hand).unwrap();
        let late = OperatorKey::generate().id();
        admit(home.path(), &late, "late").unwrap();
        assert!(read(home.path()).unwrap().contains(&late), "after a line that was left open");
        std::fs::write(file(home.path()), "# people\n\nUABC somebody\n").unwrap();
        let refused = read(home.path()).unwrap_err().to_string();
        assert!(refused.contains("line 3"), "{refused}");
    }
}
