//! Hexadecimal digits in a run (RFC 4648 section 8), or in pairs at equal distances: `41:42`, `\x41\x42`, `0x41, 0x42`.

use std::ops::Range;

use super::{Codec, Sink};
use crate::classes::Mask;
use crate::view::{Parts, View};

/// Digits that make a run: 8 bytes.
const MIN: u32 = 16;
/// Separated pairs that make a run.
const MIN_PAIRS: usize = 8;
/// How far apart pairs may start: `, 0x` between them.
const MAX_PERIOD: usize = 6;

/// Decodes every run that could be hexadecimal.
pub(super) fn views(text: &[u8], mask: &Mask, view: &mut View, printable: &mut Mask) {
    for run in mask.runs::<MIN>() {
        printable.mark_high_digits(&text[run.clone()]);
        let may_be_text = [EVEN, EVEN << 1].map(|starts| has_text(printable.words(), starts));
        for skip in (0..2).filter(|skip| may_be_text[usize::from(*skip)]) {
            view.add_printable(text, Codec::Hex(skip), Parts::One(run.clone()), printable);
        }
    }
    let mut pairs = Pairs::default();
    for (index, word) in mask.words().iter().enumerate() {
        let mut alone = alone(mask.words(), index, *word);
        while alone != 0 {
            if let Some(done) = pairs.push(index * 64 + alone.trailing_zeros() as usize) {
                view.add_printable(text, Codec::Hex(0), Parts::Many(done), printable);
            }
            alone &= alone - 1;
        }
    }
    if let Some(done) = pairs.take() {
        view.add_printable(text, Codec::Hex(0), Parts::Many(done), printable);
    }
}

/// Every second place, from the first on.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Whether eight pairs in a row begin with the first digit of a printable byte, from one of `starts` on: nothing less is
/// made a piece, and digits of a checksum hardly ever have that.
fn has_text(high_digits: &[u64], starts: u64) -> bool {
    (0..high_digits.len()).any(|index| {
        let mut eight = wide(high_digits, index);
        for width in [2, 4, 8] {
            eight &= eight >> width;
        }
        eight as u64 & starts != 0
    })
}

/// A word of a mask with the one behind it.
fn wide(words: &[u64], index: usize) -> u128 {
    u128::from(words[index]) | u128::from(words.get(index + 1).copied().unwrap_or(0)) << 64
}

/// A bit for each pair of digits that has no digit on either side.
fn alone(words: &[u64], index: usize, word: u64) -> u64 {
    let before = if index == 0 { 0 } else { words[index - 1] };
    let after = words.get(index + 1).copied().unwrap_or(0);
    let (second, third) = (word >> 1 | after << 63, word >> 2 | after << 62);
    word & second & !third & !(word << 1 | before >> 63)
}

/// Collects pairs at equal distances.
#[derive(Default)]
struct Pairs {
    starts: Vec<usize>,
    period: usize,
}

impl Pairs {
    /// Adds a pair; gives back the run that it does not belong to.
    fn push(&mut self, start: usize) -> Option<Vec<Range<usize>>> {
        let Some(last) = self.starts.last() else {
            self.starts.push(start);
            return None;
        };
        let distance = start - last;
        if distance == self.period {
            self.starts.push(start);
            return None;
        }
        let previous = *last;
        let done = self.take();
        if distance <= MAX_PERIOD {
            self.period = distance;
            self.starts.push(previous);
        }
        self.starts.push(start);
        done
    }

    /// The run so far, if it is long enough; starts anew.
    fn take(&mut self) -> Option<Vec<Range<usize>>> {
        self.period = 0;
        let is_run = self.starts.len() >= MIN_PAIRS;
        let pairs = is_run.then(|| self.starts.iter().map(|start| *start..start + 2).collect());
        self.starts.clear();
        pairs
    }
}

pub(super) fn decode<S: Sink>(text: &[u8], parts: &[Range<usize>], skip: u8, out: &mut S) {
    if let [one] = parts {
        let start = (one.start + usize::from(skip)).min(one.end);
        let (pairs, _) = text[start..one.end].as_chunks::<2>();
        for (nth, [high, low]) in pairs.iter().enumerate() {
            let at = start + 2 * nth;
            out.put(VALUES[usize::from(*high)] << 4 | VALUES[usize::from(*low)], at..at + 2);
        }
        return;
    }
    for pair in parts {
        let (high, low) = (text[pair.start], text[pair.end - 1]);
        out.put(VALUES[usize::from(high)] << 4 | VALUES[usize::from(low)], pair.clone());
    }
}

/// The value of each digit; the runs that are decoded have no other bytes.
const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Nothing is lost by looking at the first digits only.
        #[test]
        fn a_run_is_decoded_wherever_it_holds_text(
            before in "[0-9a-fA-F]{0,70}",
            plain in "[ -~\t\r]{8,12}",
            after in "[0-9a-fA-F]{0,70}",
        ) {
            let digits: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
            let text = format!("{before}{digits}{after}").into_bytes();
            let mut classes = crate::classes::Classes::default();
            classes.mark(&text);
            let mut view = View::default();
            views(&text, &classes.hex, &mut view, &mut Mask::default());
            prop_assert!(memchr::memmem::find(&view.bytes, plain.as_bytes()).is_some());
        }
    }
}
