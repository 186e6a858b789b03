//! The ClientHello with which every TLS connection begins (RFC 8446, section 4.1.2): whom it names. Pure.

use std::fmt;

/// Bytes in which a ClientHello has to be complete; large ones have about two thousand.
pub const MOST: usize = 16 << 10;

/// A handshake record, and the longest that one may be (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
const LONGEST_RECORD: usize = 1 << 14;
/// The message's type (section 4).
const CLIENT_HELLO: u8 = 1;
/// Extensions: RFC 6066, section 3; RFC 9849, section 5; and what came before that.
const SERVER_NAME: usize = 0;
const ENCRYPTED: [usize; 2] = [0xfe0d, 0xffce];

/// What a ClientHello says of its destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name, as it was written.
    pub server_name: Option<String>,
    /// Whether it may hold another one that only the server can read.
    pub is_encrypted: bool,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.server_name.as_deref().map(|name| base::inert(name, 255));
        f.debug_struct("Hello").field("server_name", &name).field("is_encrypted", &self.is_encrypted).finish()
    }
}

/// Why some bytes are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Another record or message, or lengths that do not fit each other.
    #[error("the TLS handshake does not begin with a ClientHello as it should be")]
    Malformed,
    /// Over [`MOST`].
    #[error("the ClientHello is larger than 16 KiB")]
    TooLong,
    /// More than one reading.
    #[error("the ClientHello names more than one host")]
    Ambiguous,
}

/// Reads a ClientHello from the first bytes of a connection; `None` before all of it is there.
///
/// # Errors
/// It is none, or is not to be understood.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, Flaw> {
    let message = handshake(bytes)?;
    let Some((&[kind, a, b, c], body)) = message.split_first_chunk() else { return undone(bytes) };
    if kind != CLIENT_HELLO {
        return Err(Flaw::Malformed);
    }
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    match body.len() {
        have if have < length => undone(bytes),
        have if have > length => Err(Flaw::Malformed),
        _ => hello(body).map(Some),
    }
}

fn undone(bytes: &[u8]) -> Result<Option<Hello>, Flaw> {
    if bytes.len() >= MOST { Err(Flaw::TooLong) } else { Ok(None) }
}

/// The content of the complete records.
fn handshake(mut bytes: &[u8]) -> Result<Vec<u8>, Flaw> {
    let mut message = Vec::new();
    while let Some((&[kind, major, _, a, b], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([a, b]));
        if kind != HANDSHAKE || major != 3 || length == 0 || length > LONGEST_RECORD {
            return Err(Flaw::Malformed);
        }
        let Some((fragment, rest)) = rest.split_at_checked(length) else { break };
        message.extend_from_slice(fragment);
        bytes = rest;
    }
    Ok(message)
}

fn hello(mut body: &[u8]) -> Result<Hello, Flaw> {
    let rest = &mut body;
    take(rest, 2 + 32)?;
    vector(rest, 1)?;
    vector(rest, 2)?;
    vector(rest, 1)?;
    let mut hello = Hello { server_name: None, is_encrypted: false };
    if rest.is_empty() {
        return Ok(hello);
    }
    let mut extensions = vector(rest, 2)?;
    if !rest.is_empty() {
        return Err(Flaw::Malformed);
    }
    while !extensions.is_empty() {
        let kind = number(&mut extensions, 2)?;
        let content = vector(&mut extensions, 2)?;
        if kind == SERVER_NAME && hello.server_name.replace(name(content)?).is_some() {
            return Err(Flaw::Ambiguous);
        }
        hello.is_encrypted |= ENCRYPTED.contains(&kind);
    }
    Ok(hello)
}

/// The one name in the extension.
fn name(mut content: &[u8]) -> Result<String, Flaw> {
    let mut list = vector(&mut content, 2)?;
    let kind = number(&mut list, 1)?;
    let name = vector(&mut list, 2)?;
    if !list.is_empty() {
        return Err(Flaw::Ambiguous);
    }
    if kind != 0 || !content.is_empty() {
        return Err(Flaw::Malformed);
    }
    String::from_utf8(name.to_vec()).map_err(|_| Flaw::Malformed)
}

/// A stretch that says its length in `size` bytes before it.
fn vector<'b>(bytes: &mut &'b [u8], size: usize) -> Result<&'b [u8], Flaw> {
    let length = number(bytes, size)?;
    take(bytes, length)
}

fn number(bytes: &mut &[u8], size: usize) -> Result<usize, Flaw> {
    Ok(take(bytes, size)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], Flaw> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Flaw::Malformed)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sized(size: usize, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&length[4 - size..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &sized(2, content)].concat()
    }

    fn server_name(name: &str) -> Vec<u8> {
        extension(0, &sized(2, &[&[0][..], &sized(2, name.as_bytes())].concat()))
    }

    fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[7; 32],
            &sized(1, &[1; 32]),
            &sized(2, &[0x13, 1]),
            &sized(1, &[0]),
            &sized(2, &extensions.concat()),
        ]
        .concat();
        [&[CLIENT_HELLO][..], &sized(3, &body)].concat()
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &sized(2, part)].concat()).collect()
    }

    fn named(name: &str) -> Hello {
        Hello { server_name: Some(name.to_owned()), is_encrypted: false }
    }

    #[test]
    fn says_whom_it_names() {
        let other = extension(16, b"\0\x03\x02h2");
        for (extensions, expected) in [
            (vec![other.clone(), server_name("a.example")], Ok(Some(named("a.example")))),
            (vec![other.clone()], Ok(Some(Hello { server_name: None, is_encrypted: false }))),
            (
                vec![server_name("a.example"), extension(0xfe0d, b"x")],
                Ok(Some(Hello { is_encrypted: true, ..named("a.example") })),
            ),
            (vec![server_name("a.example"), server_name("b.example")], Err(Flaw::Ambiguous)),
            (vec![extension(0, &sized(2, b"\0\0\x01a\0\0\x01b"))], Err(Flaw::Ambiguous)),
            (vec![extension(0, &sized(2, b"\x01\0\x01a"))], Err(Flaw::Malformed)),
            (vec![extension(0, b"")], Err(Flaw::Malformed)),
            (vec![extension(0, &[sized(2, b"\0\0\x01a"), vec![0]].concat())], Err(Flaw::Malformed)),
            (vec![extension(0, &sized(2, b"\0\0\x01\xff"))], Err(Flaw::Malformed)),
        ] {
            assert_eq!(read(&records(&message(&extensions), 1 << 14)), expected, "{extensions:?}");
        }
    }

    #[test]
    fn is_complete_or_nothing() {
        let whole = records(&message(&[server_name("a.example")]), 7);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(&whole), Ok(Some(named("a.example"))));
        let followed = [message(&[server_name("a.example")]), vec![CLIENT_HELLO]].concat();
        assert_eq!(read(&records(&followed, 1 << 14)), Err(Flaw::Malformed));
        for bad in [
            &b"\x17\x03\x01\x00\x01a"[..],
            b"\x16\x02\x01\x00\x01a",
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\x40\x01",
        ] {
            assert_eq!(read(bad), Err(Flaw::Malformed), "{bad:?}");
        }
        let endless = message(&[extension(21, &vec![0; MOST])]);
        assert_eq!(read(&records(&endless, 1000)[..MOST]), Err(Flaw::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), is_hello: bool) {
            if is_hello {
                bytes = records(&[&[CLIENT_HELLO][..], &sized(3, &bytes)].concat(), 100);
            }
            let _ = read(&bytes);
        }
    }
}
