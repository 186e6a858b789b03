//! Event streams (`text/event-stream`, WHATWG HTML section 9.2), cut into events that can be judged one by one.
//!
//! A [`Splitter`] takes the stream's bytes as they come and gives whole [`Event`]s: the bytes to pass on unchanged
//! and the text to judge first. An event is there as soon as its blank line is; nothing waits for the one after it.

mod running;
mod text;

use memchr::memchr2;

use running::Running;

/// The largest event that is judged in one piece unless told otherwise, in bytes.
pub const EVENT_BOUND: usize = 64 * 1024;

/// How much of an event that is too large is held back and judged again with what follows, in bytes.
pub const OVERLAP: usize = 8 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What an [`Event`]'s bytes are of the event in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it: fields up to their blank line, or a comment before any field, which is passed on by itself because
    /// servers keep connections alive with it.
    Whole,
    /// Some of one that is larger than the bound; more follows.
    Piece,
    /// The rest of one that came in pieces, or what the stream broke off in the middle of.
    Last,
}

/// One event, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Event<'s> {
    /// The bytes to pass on once the texts are found clean. Joined over all events they are the stream.
    pub raw: &'s [u8],
    /// The event's data lines joined by line ends, then the values of its other fields and its comments, one a line.
    /// Of a [`Part::Piece`], also that of the [`OVERLAP`] behind `raw`.
    pub text: &'s [u8],
    /// The end of the text that the events have spelt out together, up to this one: model streams send a few
    /// characters in each, as data or in a JSON string. JSON escapes stand as they were sent. Empty where this event
    /// adds nothing.
    pub running: &'s [u8],
    /// How `raw` relates to the event in the stream.
    pub part: Part,
}

/// Cuts an event stream into events. Holds at most the bound and the last chunk.
pub struct Splitter {
    bound: usize,
    /// What was not given yet begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Where the line begins that is being looked at.
    line: usize,
    /// Whether that line began before `start`, with an earlier piece.
    continues: bool,
    /// Whether the last line ended with a carriage return whose line feed may still come.
    after_return: bool,
    /// Whether the event at `start` has a line already.
    begun: bool,
    /// Whether a piece of the event at `start` was given.
    in_pieces: bool,
    /// Whether that piece ended within a line.
    torn: bool,
    /// Whether no byte was given yet, so that a byte order mark may be there.
    at_start: bool,
    text: Vec<u8>,
    running: Running,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(EVENT_BOUND)
    }
}

impl Splitter {
    /// A splitter at the start of a stream. `bound` is the largest event judged in one piece, in bytes; at least
    /// twice [`OVERLAP`] is taken.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(2 * OVERLAP),
            buffer: Vec::new(),
            start: 0,
            line: 0,
            continues: false,
            after_return: false,
            begun: false,
            in_pieces: false,
            torn: false,
            at_start: true,
            text: Vec::new(),
            running: Running::default(),
        }
    }

    /// Takes the next bytes of the stream. Call [`Splitter::event`] until it gives nothing before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.line -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event that has come completely, or a piece of one that is too large to wait for.
    pub fn event(&mut self) -> Option<Event<'_>> {
        let limit = self.buffer.len().min(self.start + self.bound);
        if let Some(end) = self.find_end(limit) {
            let part = if self.in_pieces { Part::Last } else { Part::Whole };
            return Some(self.give(end, end, part));
        }
        (self.buffer.len() - self.start > self.bound).then(|| self.give(limit - OVERLAP, limit, Part::Piece))
    }

    /// What the stream ended in the middle of, once [`Splitter::event`] gives nothing more. Clients drop it, but
    /// whoever reads the bytes themselves sees it.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        let end = self.buffer.len();
        (self.start < end).then(|| self.give(end, end, Part::Last))
    }

    /// Goes on through the lines up to `limit`; the end of the event if its blank line is among them.
    fn find_end(&mut self, limit: usize) -> Option<usize> {
        loop {
            if self.after_return && self.line < limit {
                self.after_return = false;
                if self.buffer[self.line] == b'\n' {
                    self.line += 1;
                }
            }
            let line = self.line..self.line + memchr2(b'\r', b'\n', self.buffer.get(self.line..limit)?)?;
            let returned = self.buffer[line.end] == b'\r';
            let fed = returned && line.end + 1 < limit && self.buffer[line.end + 1] == b'\n';
            self.after_return = returned && !fed;
            self.line = line.end + 1 + usize::from(fed);
            let continues = std::mem::take(&mut self.continues);
            let first = self.at_start && !self.begun;
            let content = &self.buffer[line];
            let content =
                if first { content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content) } else { content };
            let blank = content.is_empty() && !continues;
            let comment = content.starts_with(b":") && !continues && !self.begun;
            if blank || comment {
                return Some(self.line);
            }
            self.begun = true;
        }
    }

    /// Gives the bytes up to `end`, judged together with those up to `seen`.
    fn give(&mut self, end: usize, seen: usize, part: Part) -> Event<'_> {
        let window = &self.buffer[self.start..seen];
        let window =
            if self.at_start { window.strip_prefix(BYTE_ORDER_MARK).unwrap_or(window) } else { window };
        let data = text::of(window, self.torn, &mut self.text);
        let running = if part == Part::Whole { self.running.add(&self.text[..data]) } else { &[] };
        let raw = self.start..end;
        self.start = end;
        self.at_start = false;
        self.in_pieces = part == Part::Piece;
        self.torn = part == Part::Piece && !matches!(self.buffer[end - 1], b'\r' | b'\n');
        self.continues = self.torn && self.line < end;
        self.begun = part == Part::Piece;
        self.line = self.line.max(end);
        Event { raw: &self.buffer[raw], text: &self.text, running, part }
    }
}

#[cfg(test)]
mod tests;
