//! Reads along with hyper on an HTTP/1 connection, for what hyper repairs in silence and we refuse: a length given
//! twice, a length beside a transfer coding, another coding than `chunked`, folded lines, lines that end without CR (RFC
//! 9112, sections 2.2, 5.2, 6.1 and 6.3). Two servers that repair them differently see two different requests.

/// Why the framing of a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// RFC 9112, section 6.1: the classic of request smuggling.
    #[error("both Content-Length and Transfer-Encoding are given; send one of them")]
    LengthAndCoding,
    /// Even if both say the same.
    #[error("Content-Length is given more than once; send it once")]
    RepeatedLength,
    /// Anything but digits.
    #[error("Content-Length is not a plain number")]
    BadLength,
    /// Anything but a single `chunked`.
    #[error("Transfer-Encoding is something else than chunked; send chunked alone")]
    BadCoding,
    /// A header line that begins with white space.
    #[error("a header line begins with white space; send each header on one line")]
    Folded,
    /// A line that ends with LF alone, which readers may take for an end or for a part of the line.
    #[error("a line ends without CR; end each line with CR and LF")]
    BareLf,
    /// A chunk's length is no hexadecimal number.
    #[error("a chunk's length is not a hexadecimal number")]
    BadChunk,
    /// The body ended early, or in the middle of a chunk.
    #[error("the body ends early, or a chunk is not as long as it says")]
    BrokenBody,
    /// A line of a head, a chunk's length or a trailer is over the limit.
    #[error("a line is longer than the limit for headers")]
    LongLine,
}

/// What a stretch of bytes brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Request heads that ended in it.
    pub heads: u32,
    /// The flaw that it showed. It belongs to the head after all those that had ended before it; nothing that follows
    /// is looked at.
    pub flaw: Option<Flaw>,
}

/// The place in a connection's bytes.
#[derive(Debug)]
pub struct Framing {
    state: State,
    head: Head,
    line: Vec<u8>,
    limit: usize,
}

#[derive(Debug)]
enum State {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    Trailers,
    Flawed,
}

#[derive(Debug, Default)]
struct Head {
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    /// At the first byte of a connection; lines may have `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { state: State::Head, head: Head::default(), line: Vec::new(), limit }
    }

    /// Whether a head has begun and not ended.
    #[must_use]
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head) && (self.head.begun || !self.line.is_empty())
    }

    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            let step = match self.state {
                State::Flawed => break,
                State::Body(left) => {
                    bytes = self.skip(bytes, left, State::Body, State::Head);
                    Ok(())
                }
                State::ChunkData(left) => {
                    bytes = self.skip(bytes, left, State::ChunkData, State::ChunkSize);
                    Ok(())
                }
                State::Head | State::ChunkSize | State::Trailers => {
                    self.take_line(&mut bytes, &mut seen.heads)
                }
            };
            if let Err(flaw) = step {
                self.state = State::Flawed;
                seen.flaw = Some(flaw);
            }
        }
        seen
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], left: u64, more: fn(u64) -> State, after: State) -> &'b [u8] {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - step as u64;
        self.state = if left == 0 { after } else { more(left) };
        &bytes[step..]
    }

    fn take_line(&mut self, bytes: &mut &[u8], heads: &mut u32) -> Result<(), Flaw> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if self.line.len() + part.len() > self.limit {
            return Err(Flaw::LongLine);
        }
        *bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
        if end.is_none() {
            self.line.extend_from_slice(part);
            return Ok(());
        }
        if self.line.is_empty() {
            return self.on_line(part, heads);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(part);
        let step = self.on_line(&line, heads);
        line.clear();
        self.line = line;
        step
    }

    fn on_line(&mut self, line: &[u8], heads: &mut u32) -> Result<(), Flaw> {
        let line = line.strip_suffix(b"\r").ok_or(Flaw::BareLf)?;
        match self.state {
            State::Head if line.is_empty() && self.head.begun => {
                *heads += 1;
                self.end_head();
            }
            State::Head if line.is_empty() => {}
            State::Head if self.head.begun => self.on_header(line)?,
            State::Head => self.head.begun = true,
            State::ChunkSize => self.state = chunk(line)?,
            State::Trailers if line.is_empty() => self.state = State::Head,
            State::Trailers | State::Body(_) | State::ChunkData(_) | State::Flawed => {}
        }
        Ok(())
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.state = match head.length {
            _ if head.chunked => State::ChunkSize,
            Some(length) if length > 0 => State::Body(length),
            _ => State::Head,
        };
    }

    fn on_header(&mut self, line: &[u8]) -> Result<(), Flaw> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(Flaw::Folded);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.head.length.is_some() {
                return Err(Flaw::RepeatedLength);
            }
            self.head.length = Some(number(value, 10).ok_or(Flaw::BadLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.head.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Flaw::BadCoding);
            }
            self.head.chunked = true;
        }
        if self.head.chunked && self.head.length.is_some() { Err(Flaw::LengthAndCoding) } else { Ok(()) }
    }
}

/// What follows the line with a chunk's length: its data and the line end after it, or the trailers.
fn chunk(line: &[u8]) -> Result<State, Flaw> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match number(&line[..digits], 16).and_then(|length| length.checked_add(2)) {
        Some(2) => Ok(State::Trailers),
        Some(length) => Ok(State::ChunkData(length)),
        None => Err(Flaw::BadChunk),
    }
}

/// A number of nothing but digits.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(text: &str) -> Seen {
        Framing::new(100).feed(text.as_bytes())
    }

    #[test]
    fn shows_each_flaw() {
        for (headers, flaw) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Flaw::LengthAndCoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Flaw::LengthAndCoding),
            ("content-length : 5\r\ntransfer-encoding\t: chunked\r\n", Flaw::LengthAndCoding),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Flaw::RepeatedLength),
            ("Content-Length: 0\r\nContent-Length: 5\r\n", Flaw::RepeatedLength),
            ("Content-Length: 5, 5\r\n", Flaw::BadLength),
            ("Content-Length: +5\r\n", Flaw::BadLength),
            ("Content-Length:\r\n", Flaw::BadLength),
            ("Content-Length: 99999999999999999999\r\n", Flaw::BadLength),
            ("Transfer-Encoding: gzip, chunked\r\n", Flaw::BadCoding),
            ("Transfer-Encoding: identity\r\n", Flaw::BadCoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Flaw::BadCoding),
            ("A: b\r\n c\r\n", Flaw::Folded),
            ("A: b\nC: d\r\n", Flaw::BareLf),
            ("\n", Flaw::BareLf),
            ("Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n", Flaw::BareLf),
            ("Transfer-Encoding: chunked\r\n\r\n0\r\nT: a\n\n", Flaw::BareLf),
            ("Transfer-Encoding: chunked\r\n\r\nxyz\r\n", Flaw::BadChunk),
            ("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", Flaw::BadChunk),
            (&format!("A: {}\r\n", "b".repeat(100)), Flaw::LongLine),
        ] {
            assert_eq!(feed(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).flaw, Some(flaw), "{headers}");
        }
    }

    #[test]
    fn bodies_hide_what_looks_like_heads() {
        let bad = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
        let plain = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{bad}", bad.len());
        let chunked = format!(
            "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n{:x};a=b\r\n{bad}\r\n0\r\nT: {}\r\n\r\n",
            bad.len(),
            1
        );
        let seen = feed(&format!("{plain}{chunked}GET / HTTP/1.1\r\n\r\n"));
        assert_eq!(seen, Seen { heads: 3, flaw: None });
        let seen = feed(&format!("{plain}{chunked}{bad}"));
        assert_eq!(seen, Seen { heads: 2, flaw: Some(Flaw::RepeatedLength) });
    }

    proptest! {
        #[test]
        fn where_reads_end_changes_nothing(cuts in prop::collection::vec(0_usize..120, 0..8), bad: bool) {
            let mut text = String::from("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            text.push_str(if bad { "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n" } else { "GET / HTTP/1.1\r\nA: b\r\n\r\n" });
            let whole = feed(&text);
            let mut framing = Framing::new(100);
            let mut seen = Seen::default();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                let part = framing.feed(&text.as_bytes()[pair[0]..pair[1]]);
                seen.heads += part.heads;
                seen.flaw = seen.flaw.or(part.flaw);
            }
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Framing::new(50).feed(&bytes);
        }
    }
}
