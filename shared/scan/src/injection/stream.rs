//! Bodies of any length.

use super::judge::AROUND;
use super::{Assessment, Confidence, assess};

/// What is held back and seen again with what follows, in bytes.
pub const HELD: usize = 1024;

/// What was passed on already and is still seen with what follows, in bytes.
const SEEN: usize = 2 * AROUND;

/// Judges a body as it comes, before it goes on.
///
/// Every byte is judged together with those before it when it arrives, so that whoever falls silent can be let go at
/// once ([`Stream::release`]) and the end of an injection still never goes on: its last bytes are judged with its
/// first ones, gone or not.
#[derive(Default)]
pub struct Stream {
    /// What is remembered: the last of what went on, then from `held` on what did not.
    buffer: Vec<u8>,
    held: usize,
    found: Assessment,
}

impl Stream {
    /// A stream at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the next bytes and appends to `out` what may go on now: all but the last [`HELD`]. With
    /// [`Confidence::High`] nothing more ever does, and the body is to be cut off here.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> &Assessment {
        if self.found.confidence < Confidence::High {
            self.buffer.extend_from_slice(bytes);
            self.found = std::mem::take(&mut self.found).or(assess(&self.buffer));
            self.pass(self.buffer.len().saturating_sub(HELD), out);
        }
        &self.found
    }

    /// Whether nothing has come yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Lets go what is held back, all of which was judged: at the end of the body, or when its sender is silent.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        self.pass(self.buffer.len(), out);
    }

    /// The heaviest finding so far.
    #[must_use]
    pub fn found(&self) -> &Assessment {
        &self.found
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.buffer.len()
    }

    fn pass(&mut self, end: usize, out: &mut Vec<u8>) {
        if self.found.confidence == Confidence::High || end <= self.held {
            return;
        }
        out.extend_from_slice(&self.buffer[self.held..end]);
        let forgotten = end.saturating_sub(SEEN);
        self.buffer.drain(..forgotten);
        self.held = end - forgotten;
    }
}
