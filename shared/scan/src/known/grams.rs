//! Grams of the secrets: stretches of a few letters, at every offset.
//!
//! A part of a secret that is long enough to be found holds a gram at every one of its places but the last few. So a
//! text need be looked at only every few places, and there a bitmap rules out nearly everything.

use std::ops::Range;

/// The letters of a gram: half of the shortest part, but so few that they fit into a word, and so many that ordinary
/// text hardly has them by chance.
const LETTERS: Range<usize> = 4..7;
/// Bits of the bitmap for each gram.
const BITS_EACH: usize = 64;
/// At least and at most: 1 KiB to 256 KiB.
const BITS: Range<usize> = 1 << 13..1 << 21;

pub(super) struct Grams {
    letters: usize,
    /// A part has a gram at one of as many places in a row.
    pub(super) stride: usize,
    bitmap: Vec<u64>,
    /// How far a hash is shifted to be a place in the bitmap.
    shift: u32,
    /// Sorted by their letters.
    grams: Vec<Gram>,
}

/// A gram, and where a secret has it.
#[derive(Clone, Copy)]
pub(super) struct Gram {
    letters: u64,
    pub(super) secret: usize,
    pub(super) is_backward: bool,
    pub(super) offset: usize,
}

impl Grams {
    /// None yet, of secrets of which `shortest` letters make a part: at least 4.
    pub(super) fn new(shortest: usize) -> Self {
        let letters = (shortest / 2).clamp(LETTERS.start, LETTERS.end - 1);
        Self { letters, stride: shortest - letters + 1, bitmap: Vec::new(), shift: 63, grams: Vec::new() }
    }

    pub(super) fn add(&mut self, squeezed: &[u8], secret: usize, is_backward: bool) {
        for offset in 0..=squeezed.len() - self.letters {
            if let Some(letters) = self.read(squeezed, offset) {
                self.grams.push(Gram { letters, secret, is_backward, offset });
            }
        }
    }

    /// To be called when all have been added.
    pub(super) fn index(&mut self) {
        self.grams.sort_unstable_by_key(|gram| gram.letters);
        let bits = (self.grams.len() * BITS_EACH).next_power_of_two().clamp(BITS.start, BITS.end);
        self.bitmap = vec![0; bits / 64];
        self.shift = 64 - bits.trailing_zeros();
        for gram in &self.grams {
            let bit = self.bit(gram.letters);
            self.bitmap[bit / 64] |= 1 << (bit % 64);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.grams.is_empty()
    }

    /// The grams that the text has at a place.
    #[inline]
    pub(super) fn at(&self, squeezed: &[u8], at: usize) -> &[Gram] {
        let Some(letters) = self.read(squeezed, at) else { return &[] };
        let bit = self.bit(letters);
        if self.bitmap[bit / 64] >> (bit % 64) & 1 == 0 {
            return &[];
        }
        self.of(letters)
    }

    #[cold]
    fn of(&self, letters: u64) -> &[Gram] {
        let start = self.grams.partition_point(|gram| gram.letters < letters);
        let count = self.grams[start..].iter().take_while(|gram| gram.letters == letters).count();
        &self.grams[start..start + count]
    }

    #[inline]
    fn read(&self, squeezed: &[u8], at: usize) -> Option<u64> {
        if let Some(word) = squeezed.get(at..at + 8) {
            let word = u64::from_le_bytes(word.try_into().ok()?);
            return Some(word & (u64::MAX >> (64 - 8 * self.letters)));
        }
        let letters = squeezed.get(at..at + self.letters)?;
        Some(letters.iter().rev().fold(0, |word, letter| word << 8 | u64::from(*letter)))
    }

    /// Fibonacci hashing (Knuth, volume 3, section 6.4): the upper bits of the product depend on all letters.
    #[inline]
    fn bit(&self, letters: u64) -> usize {
        (letters.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}
