//! Trees: modes, names and objects, one after another.

use crate::object::ObjectId;

/// Why a tree cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTree {
    /// It ends inside an entry.
    #[error("it ends inside an entry")]
    Short,
    /// A mode that git has not.
    #[error("an entry of it has a mode that git does not know")]
    Mode,
    /// An empty name, or one that holds a slash.
    #[error("an entry of it has no name, or one with a slash in it")]
    Name,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A directory.
    Tree,
    /// A file, with the group's right to write that old versions of git kept.
    File,
    /// A file that can be run.
    Executable,
    /// A symbolic link; the object is its target.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is.
    pub mode: Mode,
    /// Its name: any bytes but NUL and a slash.
    pub name: &'a [u8],
    /// The object's name, as it stands there: 20 or 32 bytes.
    pub raw: &'a [u8],
}

impl Entry<'_> {
    /// The object's name.
    #[must_use]
    pub fn id(&self) -> Option<ObjectId> {
        hex::encode(self.raw).parse().ok()
    }
}

/// Reads a tree whose objects' names have `width` bytes.
///
/// # Errors
/// [`InvalidTree`].
pub fn entries(mut bytes: &[u8], width: usize) -> Result<Vec<Entry<'_>>, InvalidTree> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (mode, rest) = split(bytes, b' ').ok_or(InvalidTree::Short)?;
        let (name, rest) = split(rest, 0).ok_or(InvalidTree::Short)?;
        let (raw, rest) = rest.split_at_checked(width).ok_or(InvalidTree::Short)?;
        if name.is_empty() || name.contains(&b'/') {
            return Err(InvalidTree::Name);
        }
        found.push(Entry { mode: kind(mode).ok_or(InvalidTree::Mode)?, name, raw });
        bytes = rest;
    }
    Ok(found)
}

fn kind(mode: &[u8]) -> Option<Mode> {
    Some(match mode {
        b"40000" => Mode::Tree,
        b"100644" | b"100664" => Mode::File,
        b"100755" => Mode::Executable,
        b"120000" => Mode::Link,
        b"160000" => Mode::Submodule,
        _ => return None,
    })
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_whole_or_not_at_all() {
        let raw = [7; 20];
        let tree = [b"100644 a b\0".as_slice(), &raw, b"40000 d\0", &raw].concat();
        let read = entries(&tree, 20).unwrap();
        assert_eq!(read.iter().map(|entry| entry.name).collect::<Vec<_>>(), [b"a b".as_slice(), b"d"]);
        assert_eq!(read[1].id().unwrap().as_str(), "07".repeat(20));
        assert_eq!(entries(&tree[..tree.len() - 1], 20), Err(InvalidTree::Short));
        assert_eq!(entries(&tree, 32), Err(InvalidTree::Short));
        for (entry, why) in [
            (b"100645 a\0".as_slice(), InvalidTree::Mode),
            (b"0100644 a\0", InvalidTree::Mode),
            (b"100644 \0", InvalidTree::Name),
            (b"100644 a/b\0", InvalidTree::Name),
        ] {
            assert_eq!(entries(&[entry, &raw].concat(), 20), Err(why));
        }
    }
}
