//! Which bytes of a text could be part of an encoded value, 64 at a time.
//!
//! A mask has one bit a byte, so that a long run of a class is found by shifting a word instead of looking at every
//! byte: most text is ruled out at a fraction of a nanosecond a byte.

use std::ops::Range;

use wide::u8x16;

/// One bit a byte: whether the byte is in a class.
#[derive(Default)]
pub(crate) struct Mask {
    words: Vec<u64>,
    len: usize,
}

impl Mask {
    /// Marks the letters and digits of `text`.
    pub(crate) fn mark_alphanumeric(&mut self, text: &[u8]) {
        self.mark(text, alphanumeric);
    }

    /// Marks the bytes of `text` that are printable ASCII.
    pub(crate) fn mark_printable(&mut self, text: &[u8]) {
        self.mark(text, printable);
    }

    /// Marks the digits of `text` with which the pair of a printable byte can begin.
    pub(crate) fn mark_high_digits(&mut self, text: &[u8]) {
        self.mark(text, |bytes| within(bytes, b'2', b'7') | is(bytes, b'0'));
    }

    /// Marks the bytes of `text` that are in the class.
    #[inline]
    fn mark(&mut self, text: &[u8], class: impl Fn(u8x16) -> u8x16) {
        let words = self.room(text.len());
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        for (marks, block) in words.iter_mut().zip(blocks.iter().chain([&last])) {
            *marks = word(block, &class);
        }
        if !rest.is_empty()
            && let Some(marks) = words.last_mut()
        {
            *marks &= (1 << rest.len()) - 1;
        }
    }

    /// The words for a text of this length, all to be written.
    fn room(&mut self, len: usize) -> &mut [u64] {
        self.len = len;
        self.words.resize(len.div_ceil(64), 0);
        &mut self.words
    }

    /// The runs of at least `MIN` marked bytes, in order. `MIN` is a power of two up to 32.
    pub(crate) fn runs<const MIN: u32>(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = self.next_run::<MIN>(from)?;
            let end = self.end_of_run(start);
            from = end;
            Some(start..end)
        })
    }

    /// The places of the marked bytes, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut marks = *word;
            std::iter::from_fn(move || {
                let place = index * 64 + marks.trailing_zeros() as usize;
                let is_marked = marks != 0;
                marks &= marks.wrapping_sub(1);
                is_marked.then_some(place)
            })
        })
    }

    /// The words of the mask; bits beyond the text are 0.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The rest of the run that a place is in; empty where it is in none.
    pub(crate) fn run_from(&self, at: usize) -> Range<usize> {
        let is_marked = self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1);
        at..if is_marked { self.end_of_run(at) } else { at }
    }

    fn next_run<const MIN: u32>(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        let mut after = self.words.get(first).copied().unwrap_or(0);
        for index in first..self.words.len() {
            let word = after;
            after = self.words.get(index + 1).copied().unwrap_or(0);
            // Wherever it starts, a run of 16 covers eight bits of one byte: few words have them.
            if MIN >= 16 && !has_full_byte(word) && after as u8 != u8::MAX {
                continue;
            }
            let mut long = u128::from(word) | u128::from(after) << 64;
            if index == first {
                long &= u128::MAX << (from % 64);
            }
            let mut width = 1;
            while width < MIN {
                long &= long >> width;
                width *= 2;
            }
            let starts = long as u64;
            if starts != 0 {
                return Some(index * 64 + starts.trailing_zeros() as usize);
            }
        }
        None
    }

    fn end_of_run(&self, start: usize) -> usize {
        let mut index = start / 64;
        let mut gaps = !self.words[index] & (u64::MAX << (start % 64));
        while gaps == 0 {
            index += 1;
            let Some(word) = self.words.get(index) else { return self.len };
            gaps = !word;
        }
        (index * 64 + gaps.trailing_zeros() as usize).min(self.len)
    }
}

/// Whether all bits of any of its eight bytes are set: of such a byte the lower seven and one more carry into the eighth.
#[inline]
fn has_full_byte(word: u64) -> bool {
    const LOWEST: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    ((word & !HIGHEST) + LOWEST) & word & HIGHEST != 0
}

/// What every decoder and the search for known secrets want to know of a text, found in one pass over it.
#[derive(Default)]
pub(crate) struct Classes {
    pub(crate) base64: Mask,
    pub(crate) base32: Mask,
    pub(crate) hex: Mask,
    /// Letters and digits.
    pub(crate) alphanumeric: Mask,
    /// `\\`, which most escapes begin with; in JSON there are many.
    pub(crate) backslash: Mask,
}

impl Classes {
    /// Marks the bytes of `text` by their classes.
    pub(crate) fn mark(&mut self, text: &[u8]) {
        let Self { base64, base32, hex, alphanumeric, backslash } = self;
        let masks = [base64, base32, hex, alphanumeric, backslash];
        let [a, b, c, d, e] = masks.map(|mask| mask.room(text.len()));
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let words = a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).zip(e);
        for ((((a, b), (c, d)), e), block) in words.zip(blocks.iter().chain([&last])) {
            [*a, *b, *c, *d, *e] = classify_block(block);
        }
    }
}

/// A word for each class, in the order of [`Classes`].
#[inline]
fn classify_block(block: &[u8; 64]) -> [u64; 5] {
    let mut words = [0; 5];
    let (sixteens, _) = block.as_chunks::<16>();
    for (nth, sixteen) in sixteens.iter().enumerate() {
        for (word, bits) in words.iter_mut().zip(classify(u8x16::new(*sixteen))) {
            *word |= u64::from(bits.to_bitmask()) << (16 * nth);
        }
    }
    words
}

/// One bit for each byte of a block that is in a class, the lowest for the first.
#[inline]
fn word(block: &[u8; 64], class: impl Fn(u8x16) -> u8x16) -> u64 {
    let (sixteens, _) = block.as_chunks::<16>();
    let bits = |sixteen: &[u8; 16]| u64::from(class(u8x16::new(*sixteen)).to_bitmask());
    sixteens.iter().rev().fold(0, |word, sixteen| word << 16 | bits(sixteen))
}

/// Of sixteen bytes, those in each class, in the order of [`Classes`].
#[inline]
fn classify(bytes: u8x16) -> [u8x16; 5] {
    let lower = bytes | u8x16::splat(0x20);
    let digit = within(bytes, b'0', b'9');
    let letter = within(lower, b'a', b'z');
    let alphanumeric = letter | digit;
    let base64 = alphanumeric | is(bytes, b'+') | is(bytes, b'/') | is(bytes, b'-') | is(bytes, b'_');
    let base32 = letter | within(bytes, b'2', b'7');
    let hex = within(lower, b'a', b'f') | digit;
    [base64, base32, hex, alphanumeric, is(bytes, b'\\')]
}

/// Of sixteen bytes, the letters and digits.
#[inline]
fn alphanumeric(bytes: u8x16) -> u8x16 {
    within(bytes | u8x16::splat(0x20), b'a', b'z') | within(bytes, b'0', b'9')
}

/// Of sixteen bytes, what a text consists of: ASCII without most control characters, with the zeros of UTF-16.
#[inline]
fn printable(bytes: u8x16) -> u8x16 {
    within(bytes, b' ', b'~') | within(bytes, b'\t', b'\r') | is(bytes, 0)
}

#[inline]
fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// There is no comparison of unsigned bytes, but a difference that saturates.
#[inline]
fn within(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    let beyond = (bytes - u8x16::splat(first)).saturating_sub(u8x16::splat(last - first));
    beyond.simd_eq(u8x16::splat(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both alphabets of base64, without padding.
    fn is_base64(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
    }

    fn runs_byte_by_byte(text: &[u8], min: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = 0;
        for end in 0..=text.len() {
            if end == text.len() || !is_base64(text[end]) {
                if end - start >= min {
                    runs.push(start..end);
                }
                start = end + 1;
            }
        }
        runs
    }

    #[test]
    fn every_byte_is_in_the_classes_that_it_should_be_in() {
        let all: Vec<u8> = (0..=255).collect();
        let mut classes = Classes::default();
        classes.mark(&all);
        let mut printable = Mask::default();
        printable.mark_printable(&all);
        let marked = |mask: &Mask, is_in: &dyn Fn(u8) -> bool| {
            let expected: Vec<usize> = (0..256).filter(|at| is_in(all[*at])).collect();
            assert_eq!(mask.places().collect::<Vec<_>>(), expected);
        };
        marked(&classes.base64, &is_base64);
        marked(&classes.base32, &|byte| byte.is_ascii_alphabetic() || matches!(byte, b'2'..=b'7'));
        marked(&classes.hex, &|byte| byte.is_ascii_hexdigit());
        marked(&classes.alphanumeric, &|byte| byte.is_ascii_alphanumeric());
        marked(&classes.backslash, &|byte| byte == b'\\');
        marked(&printable, &|byte| matches!(byte, b' '..=b'~' | b'\t'..=b'\r' | 0));
    }

    proptest! {
        #[test]
        fn runs_are_those_that_a_plain_loop_finds(
            pieces in prop::collection::vec(prop_oneof!["[a-zA-Z0-9+/]{1,90}", "[ .,\n]{1,3}"], 0..20)
        ) {
            let text = pieces.concat().into_bytes();
            let mut classes = Classes::default();
            classes.mark(&text);
            prop_assert_eq!(classes.base64.runs::<8>().collect::<Vec<_>>(), runs_byte_by_byte(&text, 8));
            prop_assert_eq!(classes.base64.runs::<16>().collect::<Vec<_>>(), runs_byte_by_byte(&text, 16));
        }

        #[test]
        fn a_mask_says_what_its_class_says(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut classes = Classes::default();
            classes.mark(b"what stood here before is forgotten");
            classes.mark(&text);
            for (at, byte) in text.iter().enumerate() {
                let is_marked = classes.hex.words()[at / 64] >> (at % 64) & 1 == 1;
                prop_assert_eq!(is_marked, byte.is_ascii_hexdigit());
            }
            prop_assert_eq!(classes.hex.words().len(), text.len().div_ceil(64));
        }
    }
}
