//! Which bytes of a text could be part of an encoded value, 64 at a time.
//!
//! A mask has one bit a byte, so that a long run of a class is found by shifting a word instead of looking at every
//! byte: most text is ruled out at a fraction of a nanosecond a byte.

use std::ops::Range;

/// One bit a byte: whether the byte is in a class.
#[derive(Default)]
pub(crate) struct Mask {
    words: Vec<u64>,
    len: usize,
}

impl Mask {
    /// Marks the bytes of `text` that are in the class.
    pub(crate) fn mark(&mut self, text: &[u8], is_in: impl Fn(u8) -> bool + Copy) {
        self.len = text.len();
        self.words.clear();
        let (blocks, rest) = text.as_chunks::<64>();
        self.words.extend(blocks.iter().map(|block| word(block, is_in)));
        if !rest.is_empty() {
            let mut last = [0; 64];
            last[..rest.len()].copy_from_slice(rest);
            self.words.push(word(&last, is_in) & ((1 << rest.len()) - 1));
        }
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

    /// The words of the mask; bits beyond the text are 0.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    fn next_run<const MIN: u32>(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        for index in first..self.words.len() {
            let next = self.words.get(index + 1).copied().unwrap_or(0);
            let mut long = u128::from(self.words[index]) | u128::from(next) << 64;
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

/// One bit for each byte of a block that is in a class, the lowest for the first.
///
/// Written so that the compiler can use vector instructions for the comparisons; the product gathers the lowest bits of
/// eight bytes in its highest byte.
pub(crate) fn word(block: &[u8; 64], is_in: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is_in(*byte));
    }
    let (eights, _) = flags.as_chunks::<8>();
    let gathered =
        eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56);
    gathered.rev().fold(0, |mask, bits| mask << 8 | bits)
}

/// Both alphabets of base64, without padding.
pub(crate) fn is_base64(byte: u8) -> bool {
    let lower = byte | 0x20;
    (lower.wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte == b'+')
        | (byte == b'/')
        | (byte == b'-')
        | (byte == b'_')
}

/// The alphabet of base32 in either case, without padding.
pub(crate) fn is_base32(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'2') < 6)
}

/// A hexadecimal digit.
pub(crate) fn is_hex(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 6) | (byte.wrapping_sub(b'0') < 10)
}

/// What a text consists of: ASCII without most control characters, with the zeros of UTF-16.
pub(crate) fn is_printable(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') < 95) | (byte.wrapping_sub(b'\t') < 5) | (byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn runs_are_those_that_a_plain_loop_finds(
            pieces in prop::collection::vec(prop_oneof!["[a-zA-Z0-9+/]{1,90}", "[ .,\n]{1,3}"], 0..20)
        ) {
            let text = pieces.concat().into_bytes();
            let mut mask = Mask::default();
            mask.mark(&text, is_base64);
            prop_assert_eq!(mask.runs::<16>().collect::<Vec<_>>(), runs_byte_by_byte(&text, 16));
        }

        #[test]
        fn a_mask_says_what_its_class_says(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut mask = Mask::default();
            mask.mark(&text, is_hex);
            for (at, byte) in text.iter().enumerate() {
                prop_assert_eq!(mask.words()[at / 64] >> (at % 64) & 1 == 1, byte.is_ascii_hexdigit());
            }
        }
    }
}
