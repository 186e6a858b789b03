//! A body of any length, judged in constant memory.
//!
//! The stream is judged in blocks that lie at fixed places, however it arrives. Each is looked at together with what came
//! shortly before it and with what comes after it, as far as the longest value reaches that is looked for: so a value
//! that begins in a block is seen whole before the first byte of that block leaves.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::decode::Shape;
use crate::detectors::{Detectors, Enabled, TooComplex};
use crate::finding::Finding;
use crate::window::{self, Room};

/// Bytes that are judged at once.
const BLOCK: usize = 64 << 10;
/// Bytes behind a block that are looked at with it: the longest value that is found for certain.
pub const LOOK_AHEAD: usize = 8 << 10;
/// Bytes before a block that are looked at with it: a value's keyword may stand there.
const CONTEXT: usize = 1 << 10;
/// Values that are redacted in one stream before it counts as hostile.
const MAX_REDACTIONS: usize = 256;

/// A body on its way out.
pub struct Stream {
    detectors: Arc<Detectors>,
    enabled: Enabled,
    shape: Shape,
    /// Context, what was judged and not yet taken, and what is to be judged.
    buffer: Vec<u8>,
    /// Where in the stream the buffer begins.
    start: u64,
    /// Where in the stream the judged bytes end, and the block before them began.
    judged: u64,
    block: u64,
    /// Where in the stream the bytes end that were looked at.
    seen: u64,
    /// Where in the stream the bytes end that the caller has taken.
    taken: u64,
    waiting: VecDeque<Finding>,
    /// Spans that the caller passed, as far as the buffer reaches.
    passed: Vec<Range<u64>>,
    redacted: Vec<Range<u64>>,
    redactions: usize,
    is_ended: bool,
}

/// What a stream has to say next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes may leave.
    Bytes(Bytes),
    /// What follows may not, until the caller has called [`Stream::pass`] or [`Stream::redact`].
    Finding(Finding),
    /// Nothing more can be said before more has arrived.
    More,
    /// All has been said.
    End,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Too many layers.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
    /// Replacing the value's letters and digits did not remove it, or there are too many.
    #[error("what was found in it cannot be blotted out")]
    CannotRedact,
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new(detectors: Arc<Detectors>, enabled: Enabled, shape: Shape) -> Self {
        Self {
            detectors,
            enabled,
            shape,
            buffer: Vec::new(),
            start: 0,
            judged: 0,
            block: 0,
            seen: 0,
            taken: 0,
            waiting: VecDeque::new(),
            passed: Vec::new(),
            redacted: Vec::new(),
            redactions: 0,
            is_ended: false,
        }
    }

    /// More has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The last bytes have arrived, and nothing more will. A short body that comes whole and has nothing in it is given
    /// back as it is, to leave at once.
    ///
    /// # Errors
    /// If the stream cannot be judged; nothing more of it may leave.
    pub fn push_last(&mut self, bytes: Bytes) -> Result<Option<Bytes>, StreamError> {
        self.is_ended = true;
        if self.arrived() == 0 && bytes.len() <= BLOCK {
            let Self { detectors, enabled, shape, .. } = self;
            if Room::with(|room| window::scan(detectors, &bytes, 0, *enabled, shape, room))?.is_empty() {
                return Ok(Some(bytes));
            }
        }
        self.push(&bytes);
        Ok(None)
    }

    /// Nothing more will arrive.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// Bytes that have arrived and were not yet taken: what the stream holds back.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.arrived() - self.taken
    }

    /// What may happen next. Call it until it answers [`Next::More`] or [`Next::End`].
    ///
    /// # Errors
    /// If the stream cannot be judged; nothing more of it may leave.
    pub fn poll(&mut self) -> Result<Next, StreamError> {
        loop {
            let free = self.waiting.front().map_or(self.judged, |finding| finding.span.start.max(self.taken));
            if free > self.taken {
                return Ok(Next::Bytes(self.take(free)));
            }
            if let Some(finding) = self.waiting.front() {
                return Ok(Next::Finding(finding.clone()));
            }
            let left = self.arrived() - self.judged;
            if left >= (BLOCK + LOOK_AHEAD) as u64 {
                self.judge(self.judged + BLOCK as u64)?;
            } else if !self.is_ended {
                return Ok(Next::More);
            } else if left == 0 {
                return Ok(Next::End);
            } else {
                self.judge(self.arrived())?;
            }
        }
    }

    /// The sender has paused: judges what has arrived, all but a last word in which a secret may have begun.
    ///
    /// A value that arrives with pauses may lose its first characters to this, fewer than make it recognisable, and one
    /// in a disguise of several words its first words; it is still found later, and its rest does not leave.
    ///
    /// # Errors
    /// If the stream cannot be judged.
    pub fn settle(&mut self) -> Result<(), StreamError> {
        let length = self.buffer.iter().rev().take_while(|byte| !byte.is_ascii_whitespace()).count();
        let word = &self.buffer[self.buffer.len() - length.min(LOOK_AHEAD)..];
        let is_held = Room::with(|room| window::may_begin(&self.detectors, word, room))?;
        let settled = self.arrived() - if is_held { word.len() as u64 } else { 0 };
        if self.waiting.is_empty() && settled > self.judged {
            self.judge(settled)?;
        }
        Ok(())
    }

    /// Lets the finding that [`Stream::poll`] told of leave.
    pub fn pass(&mut self) {
        if let Some(finding) = self.waiting.pop_front() {
            self.passed.push(finding.span);
        }
    }

    /// Blots the finding that [`Stream::poll`] told of out: its letters and digits become `1`, so that lengths, escapes
    /// and quotes stay what they were. What it was in is judged again.
    ///
    /// # Errors
    /// If it is still found afterwards, if part of it has left, or if it goes on beyond what has arrived.
    pub fn redact(&mut self) -> Result<(), StreamError> {
        let Some(finding) = self.waiting.pop_front() else { return Ok(()) };
        self.redactions += 1;
        let is_again = self.redacted.contains(&finding.span);
        let is_cut = finding.span.end == self.seen && !(self.is_ended && self.seen == self.arrived());
        if is_again || is_cut || self.redactions > MAX_REDACTIONS || finding.span.start < self.taken {
            return Err(StreamError::CannotRedact);
        }
        let span = self.index(finding.span.start)..self.index(finding.span.end);
        blot(&mut self.buffer[span]);
        self.redacted.push(finding.span);
        self.waiting.clear();
        let judged = self.judged;
        self.judged = self.block;
        self.judge(judged)
    }

    fn arrived(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    fn index(&self, at: u64) -> usize {
        (at - self.start) as usize
    }

    /// Judges the bytes up to `end` together with what surrounds them.
    fn judge(&mut self, end: u64) -> Result<(), StreamError> {
        let from = self.judged.saturating_sub(CONTEXT as u64).max(self.start);
        let to = (end + LOOK_AHEAD as u64).min(self.arrived());
        let text = &self.buffer[self.index(from)..self.index(to)];
        let Self { detectors, enabled, shape, .. } = self;
        let found = Room::with(|room| window::scan(detectors, text, from, *enabled, shape, room))?;
        let is_new = |finding: &Finding| {
            let touches = |span: &Range<u64>| span.start < finding.span.end && finding.span.start < span.end;
            finding.span.start < end && finding.span.end > self.judged && !self.passed.iter().any(touches)
        };
        self.waiting.extend(found.into_iter().filter(is_new));
        self.block = self.judged;
        self.judged = end;
        self.seen = to;
        Ok(())
    }

    /// Takes the bytes up to `end`, and forgets what no later block needs.
    fn take(&mut self, end: u64) -> Bytes {
        let taken = Bytes::copy_from_slice(&self.buffer[self.index(self.taken)..self.index(end)]);
        self.taken = end;
        if end == self.judged {
            let keep = end.saturating_sub(CONTEXT as u64).max(self.start);
            self.buffer.drain(..self.index(keep));
            self.start = keep;
            self.passed.retain(|span| span.end > keep);
            self.redacted.retain(|span| span.end > keep);
        }
        taken
    }
}

/// Replaces letters and digits by `1`, but not a letter that an escape begins with: lengths, escapes and quotes stay what
/// they were.
pub fn blot(value: &mut [u8]) {
    let mut is_escaped = false;
    for byte in value {
        if byte.is_ascii_alphanumeric() && !is_escaped {
            *byte = b'1';
        }
        is_escaped = *byte == b'\\';
    }
}
