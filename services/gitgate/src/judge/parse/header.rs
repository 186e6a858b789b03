//! Commits and tags: header lines, an empty line, a message.

use std::ops::Range;

use crate::object::ObjectId;

/// Why an object's header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// A line of the header has no name, or no end.
    #[error("a line of its header has no name or no end")]
    Line,
    /// A header that it must have is missing, is there too often, or names no object.
    #[error("its `{0}` header is missing, not in its place, or names no object")]
    Field(&'static str),
    /// Its message is in an encoding in which other bytes than ASCII's may be letters.
    #[error("its message is in an encoding that is not looked through: write messages in UTF-8")]
    Encoding,
}

/// The header of a commit or a tag, line by line, and where its message begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// Names, and where the values stand with their continuation lines.
    lines: Vec<(&'a str, Range<usize>)>,
    bytes: &'a [u8],
    /// Where the message begins; the object's end if it has none.
    pub message: usize,
}

/// What of a commit others depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
}

/// What of a tag others depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it names.
    pub object: ObjectId,
}

impl<'a> Headers<'a> {
    /// Reads them. A header without an empty line behind it ends with the object.
    ///
    /// # Errors
    /// [`InvalidHeader::Line`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, InvalidHeader> {
        let mut lines: Vec<(&str, Range<usize>)> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = memchr(bytes, at).ok_or(InvalidHeader::Line)?;
            let line = &bytes[at..at + length];
            let next = at + length + 1;
            match line.first() {
                None => return Ok(Self { lines, bytes, message: next }),
                Some(b' ') => lines.last_mut().ok_or(InvalidHeader::Line)?.1.end = at + length,
                Some(_) => {
                    let name = line.iter().position(|byte| *byte == b' ').ok_or(InvalidHeader::Line)?;
                    let text = std::str::from_utf8(&line[..name]).map_err(|_| InvalidHeader::Line)?;
                    lines.push((text, at + name + 1..at + length));
                }
            }
            at = next;
        }
        Ok(Self { lines, bytes, message: bytes.len() })
    }

    /// Which part of the object byte `at` belongs to: a header's name, or the message.
    #[must_use]
    pub fn part(&self, at: usize) -> &'a str {
        if at >= self.message {
            return "message";
        }
        let line = self.lines.iter().rfind(|(name, value)| value.start <= at + name.len() + 1);
        line.map_or("message", |(name, _)| name)
    }

    /// A commit's tree and parents.
    ///
    /// # Errors
    /// It is no commit, or its message's encoding is not looked through.
    pub fn commit(&self) -> Result<Commit, InvalidHeader> {
        let tree = self.id(0, "tree")?;
        let parents = self.lines.iter().skip(1).take_while(|(name, _)| *name == "parent").count();
        let parents = (1..=parents).map(|line| self.id(line, "parent")).collect::<Result<Vec<_>, _>>()?;
        let elsewhere = self.lines.iter().skip(1 + parents.len());
        for (name, _) in elsewhere {
            match *name {
                "tree" => return Err(InvalidHeader::Field("tree")),
                "parent" => return Err(InvalidHeader::Field("parent")),
                _ => {}
            }
        }
        self.check_encoding()?;
        Ok(Commit { tree, parents })
    }

    /// A tag's object.
    ///
    /// # Errors
    /// It is no tag, or its message's encoding is not looked through.
    pub fn tag(&self) -> Result<Tag, InvalidHeader> {
        let object = self.id(0, "object")?;
        if self.lines.iter().filter(|(name, _)| *name == "object").count() != 1 {
            return Err(InvalidHeader::Field("object"));
        }
        self.check_encoding()?;
        Ok(Tag { object })
    }

    fn id(&self, line: usize, name: &'static str) -> Result<ObjectId, InvalidHeader> {
        let (found, value) = self.lines.get(line).ok_or(InvalidHeader::Field(name))?;
        let text = std::str::from_utf8(&self.bytes[value.clone()]).ok().filter(|_| *found == name);
        text.and_then(|text| text.parse().ok()).ok_or(InvalidHeader::Field(name))
    }

    fn check_encoding(&self) -> Result<(), InvalidHeader> {
        let mut encodings = self.lines.iter().filter(|(name, _)| *name == "encoding");
        let is_plain =
            |value: &Range<usize>| std::str::from_utf8(&self.bytes[value.clone()]).is_ok_and(keeps_ascii);
        if encodings.all(|(_, value)| is_plain(value)) { Ok(()) } else { Err(InvalidHeader::Encoding) }
    }
}

/// Whether the bytes of ASCII mean in this encoding what they mean in ASCII, and nothing else means the same.
fn keeps_ascii(encoding: &str) -> bool {
    const KINDS: [&str; 14] = [
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "iso-8859-",
        "iso8859-",
        "iso_8859-",
        "latin",
        "windows-125",
        "cp125",
        "koi8-",
        "euc-",
        "gb",
        "big5",
    ];
    let lower = encoding.trim().to_ascii_lowercase();
    KINDS.iter().any(|kind| lower.starts_with(kind))
        || matches!(lower.as_str(), "shift_jis" | "sjis" | "cp932")
}

fn memchr(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    #[test]
    fn a_commit_has_a_tree_parents_and_parts() {
        let (tree, first, second) = (id('a'), id('b'), id('c'));
        let text = format!(
            "tree {tree}\nparent {first}\nparent {second}\nauthor A <a@b> 1 +0000\ngpgsig one\n two\n\nhello\n"
        );
        let headers = Headers::read(text.as_bytes()).unwrap();
        let commit = headers.commit().unwrap();
        assert_eq!((commit.tree.as_str(), commit.parents.len()), (tree.as_str(), 2));
        for (what, part) in
            [("author", "author"), ("<a@b>", "author"), ("two", "gpgsig"), ("hello", "message")]
        {
            assert_eq!(headers.part(text.find(what).unwrap()), part, "{what}");
        }
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        let (tree, parent) = (id('a'), id('b'));
        for (text, why) in [
            (String::new(), InvalidHeader::Field("tree")),
            (format!("tree {tree}"), InvalidHeader::Line),
            (format!("parent {parent}\n"), InvalidHeader::Field("tree")),
            (format!("tree {tree}\nauthor x\nparent {parent}\n\n"), InvalidHeader::Field("parent")),
            (format!("tree {tree}\ntree {tree}\n\n"), InvalidHeader::Field("tree")),
            (format!("tree {tree}\nencoding UTF-7\n\n"), InvalidHeader::Encoding),
            (format!("tree {tree}\nencoding utf-8\nencoding IBM037\n\n"), InvalidHeader::Encoding),
            (format!(" x\ntree {tree}\n"), InvalidHeader::Line),
        ] {
            let read = Headers::read(text.as_bytes()).and_then(|headers| headers.commit());
            assert_eq!(read, Err(why), "{text}");
        }
        let latin = format!("tree {tree}\nencoding ISO-8859-15\n\n\u{fffd}");
        assert!(Headers::read(latin.as_bytes()).and_then(|headers| headers.commit()).is_ok());
    }
}
