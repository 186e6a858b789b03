//! `.gitleaksignore`: lines of `commit:path:rule:line` or `path:rule:line`.

/// The most lines that are read.
const LINES: usize = 10_000;

/// A finding that the pushed files excuse. The rule's name is not looked at: the gate's own rules have other names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The file's path.
    pub path: String,
    /// The line, from 1.
    pub line: u64,
}

/// The findings that an ignore file names. What cannot be read excuses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored(Vec<Fingerprint>);

impl Ignored {
    /// Reads a file. It is the agent's: all that comes of it is that a person is asked.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self(text.lines().take(LINES).filter_map(fingerprint).collect())
    }

    /// Adds what another file names.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a place is named.
    #[must_use]
    pub fn names(&self, path: &str, line: u64) -> bool {
        self.0.iter().any(|named| named.line == line && named.path == path)
    }
}

fn fingerprint(line: &str) -> Option<Fingerprint> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let mut parts = line.rsplitn(3, ':');
    let (number, _rule, path) = (parts.next()?, parts.next()?, parts.next()?);
    let is_commit = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let path = path.split_once(':').filter(|(commit, _)| is_commit(commit)).map_or(path, |(_, path)| path);
    Some(Fingerprint { path: path.to_owned(), line: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let commit = "ab".repeat(20);
        let text = format!("# x:y:1\n{commit}:a/b.txt:github-pat:3\nc:d:rule:4\nno line\nx:rule:many\n");
        let ignored = Ignored::read(text.as_bytes());
        assert!(ignored.names("a/b.txt", 3) && ignored.names("c:d", 4));
        assert!(!ignored.names("a/b.txt", 4) && ignored.0.len() == 2);
    }
}
