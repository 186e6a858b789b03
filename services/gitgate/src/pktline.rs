//! Git's lines with a length in front (gitprotocol-common): `0009done\n`, and three marks without content.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of the length in front of a line.
const PREFIX: usize = 4;
/// The longest line, with its length.
pub const LONGEST: usize = 65520;

/// What git puts between two lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line's content; it may be empty.
    Data(Bytes),
    /// `0000`
    Flush,
    /// `0001`, between the parts of a message of protocol 2.
    Delimiter,
    /// `0002`
    End,
}

/// Four bytes that are no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what git sends begins with a length in four hexadecimal digits, and this does not")]
pub struct NoLength;

/// Takes the next line off the front. `None`: it is not complete yet.
///
/// # Errors
/// There is no length where one must be.
pub fn take(arrived: &mut BytesMut) -> Result<Option<Line>, NoLength> {
    let Some(prefix) = arrived.get(..PREFIX) else {
        return if arrived.iter().all(u8::is_ascii_hexdigit) { Ok(None) } else { Err(NoLength) };
    };
    let is_hex = prefix.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(prefix).map_err(|_| NoLength)?;
    let length = usize::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(NoLength)?;
    let mark = match length {
        0 => Line::Flush,
        1 => Line::Delimiter,
        2 => Line::End,
        PREFIX..=LONGEST => {
            if arrived.len() < length {
                return Ok(None);
            }
            arrived.advance(PREFIX);
            return Ok(Some(Line::Data(arrived.split_to(length - PREFIX).freeze())));
        }
        _ => return Err(NoLength),
    };
    arrived.advance(PREFIX);
    Ok(Some(mark))
}

/// Writes a line. What does not fit into one is left away.
pub fn put(to: &mut Vec<u8>, content: &[u8]) {
    let content = &content[..content.len().min(LONGEST - PREFIX)];
    to.extend_from_slice(format!("{:04x}", content.len() + PREFIX).as_bytes());
    to.extend_from_slice(content);
}

/// Writes the mark at the end of a list.
pub fn flush(to: &mut Vec<u8>) {
    to.extend_from_slice(b"0000");
}

/// An error in words, which every git shows as `fatal: remote error: …` and ends.
#[must_use]
pub fn error(reason: &str) -> Vec<u8> {
    let mut line = Vec::new();
    put(&mut line, format!("ERR {reason}").as_bytes());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<(Vec<Line>, usize), NoLength> {
        let (mut arrived, mut lines) = (BytesMut::from(bytes), Vec::new());
        while let Some(line) = take(&mut arrived)? {
            lines.push(line);
        }
        Ok((lines, arrived.len()))
    }

    #[test]
    fn lines_and_marks_are_read_and_nothing_else() {
        let data = |text: &'static str| Line::Data(Bytes::from_static(text.as_bytes()));
        assert_eq!(all(b"0006a\n0000"), Ok((vec![data("a\n"), Line::Flush], 0)));
        assert_eq!(all(b"000400010002"), Ok((vec![data(""), Line::Delimiter, Line::End], 0)));
        assert_eq!(all(b"0007ab"), Ok((Vec::new(), 6)));
        assert_eq!(all(b"00"), Ok((Vec::new(), 2)));
        for bad in [b"0003".as_slice(), b"fff1", b"+00a", b"zzzz", b"-", b" 00a", b"\xff\xff\xff\xff"] {
            assert_eq!(all(bad), Err(NoLength), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut written = Vec::new();
            put(&mut written, &content);
            flush(&mut written);
            prop_assert_eq!(all(&written), Ok((vec![Line::Data(content.into()), Line::Flush], 0)));
        }
    }
}
