//! The text that gitleaks is given, and the way back from one of its lines to a piece of the push.
//!
//! gitleaks cuts its input behind a blank line, or anywhere where none comes for long. So there is one soon after every
//! beginning: a long piece is cut here, into windows that overlap by as much as a secret is long.

use tokio::sync::mpsc;

use super::readable::readable;
use super::sentinel::Sentinel;

/// The longest window, in bytes: less than what gitleaks looks for a blank line in.
const WINDOW: usize = 16 << 10;
/// Bytes that two windows share.
const OVERLAP: usize = 2 << 10;
/// Bytes that are handed over at once.
const BATCH: usize = 256 << 10;
/// Batches that may wait.
const WAITING: usize = 8;
/// What ends a window.
const GAP: &[u8] = b"\n\n\n";

/// What goes to the process.
pub(crate) enum Text {
    Part(Vec<u8>),
    /// There is no more, and there was nothing wrong.
    End,
}

/// Takes the pieces of a push.
pub(crate) struct Feeder {
    to: mpsc::Sender<Text>,
    batch: Vec<u8>,
    /// The line of the whole text that comes next, from 1.
    next: u64,
    windows: Vec<Window>,
    /// What stands before and behind everything.
    sentinel: String,
}

/// Where a window stands.
struct Window {
    /// The first of its lines in the whole text, from 1.
    from: u64,
    /// The line of its piece that this is, from 1.
    line: u64,
    piece: u32,
}

/// What was given, for the answer to be read.
pub(crate) struct Fed {
    windows: Vec<Window>,
    /// The first line of the last sentinels.
    pub(super) end: u64,
}

impl Feeder {
    pub(super) fn new(sentinel: &Sentinel) -> (Self, mpsc::Receiver<Text>) {
        let (to, texts) = mpsc::channel(WAITING);
        let mut feeder =
            Self { to, batch: Vec::new(), next: 1, windows: Vec::new(), sentinel: sentinel.text() };
        feeder.put_sentinel();
        (feeder, texts)
    }

    /// Adds a part of a piece, whose first line is `line`.
    pub(crate) fn add(&mut self, piece: u32, line: u64, bytes: &[u8]) {
        let text = readable(bytes);
        let (mut rest, mut line) = (&*text, line);
        while !rest.is_empty() {
            let cut = window(rest);
            self.windows.push(Window { from: self.next, line, piece });
            self.put(&rest[..cut]);
            self.put(GAP);
            if cut == rest.len() {
                return;
            }
            let next = overlap(rest, cut);
            line += count(&rest[..next]);
            rest = &rest[next..];
        }
    }

    /// Nothing more comes, and all was well.
    pub(crate) fn end(mut self) -> Fed {
        let end = self.next;
        self.put_sentinel();
        self.hand_over();
        // If nobody reads any more, its answer says so.
        drop(self.to.blocking_send(Text::End));
        Fed { windows: self.windows, end }
    }

    fn put_sentinel(&mut self) {
        let sentinel = std::mem::take(&mut self.sentinel);
        self.put(sentinel.as_bytes());
        self.put(GAP);
        self.sentinel = sentinel;
    }

    fn put(&mut self, text: &[u8]) {
        self.next += count(text);
        self.batch.extend_from_slice(text);
        if self.batch.len() >= BATCH {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        drop(self.to.blocking_send(Text::Part(batch)));
    }
}

impl Fed {
    /// The piece and the line in it that a line of the whole text is.
    pub(super) fn place(&self, line: u64) -> Option<(u32, u64)> {
        let after = self.windows.partition_point(|window| window.from <= line);
        let window = self.windows.get(after.checked_sub(1)?)?;
        Some((window.piece, window.line + (line - window.from)))
    }
}

/// How long the next window is: to the end of a line, if one ends in its second half.
fn window(text: &[u8]) -> usize {
    if text.len() <= WINDOW {
        return text.len();
    }
    let half = WINDOW / 2;
    memchr::memrchr(b'\n', &text[half..WINDOW]).map_or(WINDOW, |at| half + at + 1)
}

/// Where the window after one that ends at `cut` begins: at the begin of a line, if one is near.
fn overlap(text: &[u8], cut: usize) -> usize {
    let from = cut - OVERLAP;
    let near = &text[from - OVERLAP..from];
    memchr::memrchr(b'\n', near).map_or(from, |at| from - OVERLAP + at + 1)
}

fn count(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a process would have been given.
    fn fed(pieces: &[(u32, u64, Vec<u8>)]) -> (Vec<u8>, Fed) {
        let (mut feeder, mut texts) = Feeder::new(&Sentinel::new(true));
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            while let Some(Text::Part(part)) = texts.blocking_recv() {
                all.extend(part);
            }
            all
        });
        pieces.iter().for_each(|(piece, line, text)| feeder.add(*piece, *line, text));
        let fed = feeder.end();
        (reader.join().unwrap(), fed)
    }

    proptest! {
        /// Every line leads back to its piece, every short stretch is whole in some window, and a blank line is near.
        #[test]
        fn nothing_is_torn_and_nothing_is_misplaced(
            lengths in prop::collection::vec(prop_oneof![0..80usize, 3000..9000usize, 17_000..40_000usize], 1..12),
        ) {
            let lines = lengths.iter().enumerate().map(|(at, length)| format!("{at:05}{}", "x".repeat(*length)));
            let text = lines.collect::<Vec<_>>().join("\n");
            let (all, fed) = fed(&[(3, 1, text.clone().into_bytes())]);
            let all = String::from_utf8(all).unwrap();
            for (number, line) in (1..).zip(all.lines()) {
                if let (Some(at), true) = (line.get(..5).and_then(|at| at.parse::<u64>().ok()), number < fed.end) {
                    prop_assert_eq!(fed.place(number), Some((3, at + 1)));
                }
            }
            for part in text.as_bytes().windows(1000).step_by(997) {
                prop_assert!(memchr::memmem::find(all.as_bytes(), part).is_some());
            }
            prop_assert!(all.split("\n\n").all(|window| window.len() < 20_000));
        }
    }
}
