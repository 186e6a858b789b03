//! From an offset to a line and a column.

use std::collections::VecDeque;

use serde::Serialize;

/// How far behind what was read a place may lie, in bytes: more than any detector looks back.
const REACH: u64 = 256 << 10;

/// A place in a text, both counted from 1; the column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// Where the last lines begin. Its size does not grow with the text.
pub(super) struct Lines {
    starts: VecDeque<u64>,
    /// The number of the first of them.
    first: u64,
    read: u64,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { starts: VecDeque::from([0]), first: 1, read: 0 }
    }

    /// The text goes on with these.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let ends = (0..).zip(bytes).filter(|(_, byte)| **byte == b'\n');
        self.starts.extend(ends.map(|(at, _): (u64, _)| self.read + at + 1));
        self.read += bytes.len() as u64;
        // The line in which the reach begins stays.
        while self.starts.get(1).is_some_and(|next| next + REACH <= self.read) {
            self.starts.pop_front();
            self.first += 1;
        }
    }

    /// Bytes of the text so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The place of a byte.
    pub(super) fn place(&self, offset: u64) -> Place {
        let index = self.starts.partition_point(|start| *start <= offset).max(1) - 1;
        Place { line: self.first + index as u64, column: offset.saturating_sub(self.starts[index]) + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_however_the_text_is_cut() {
        let text = b"ab\n\ncd\r\ne";
        for cut in 1..=text.len() {
            let mut lines = Lines::new();
            text.chunks(cut).for_each(|piece| lines.add(piece));
            let places = (0..text.len() as u64).map(|at| lines.place(at));
            let places: Vec<_> = places.map(|place| (place.line, place.column)).collect();
            assert_eq!(places, [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3), (3, 4), (4, 1)]);
        }
    }

    #[test]
    fn what_lies_out_of_reach_is_forgotten() {
        let mut lines = Lines::new();
        let piece = [b'\n'; 100_000];
        for _ in 0..100 {
            lines.add(&piece);
        }
        assert!(lines.starts.len() <= REACH as usize + 1);
        assert_eq!(lines.place(9_999_999), Place { line: 10_000_000, column: 1 });
        assert_eq!(lines.place(9_900_000), Place { line: 9_900_001, column: 1 });
    }
}
