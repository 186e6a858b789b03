//! Text too random to be words (E9). Warns only: hashes and ids are random, too.

use std::ops::Range;

use crate::classes::Mask;

/// Bits a byte above which a run counts as random; base64 of random bytes has 5.5 to 6 in a long run, English 4.1.
const MIN_BITS: f64 = 4.6;
/// Longer runs are encoded data.
const MAX_LENGTH: usize = 512;

/// Finds random-looking runs of 32 bytes or more. `base64`: the bytes of the text that could be base64.
pub(crate) fn find(text: &[u8], base64: &Mask, found: &mut impl FnMut(Range<usize>)) {
    for run in base64.runs::<32>() {
        if run.len() <= MAX_LENGTH && bits_per_byte(&text[run.clone()]) >= MIN_BITS {
            found(run);
        }
    }
}

/// Shannon entropy, in bits a byte: 0 for a text of one byte over and over, 8 for all bytes alike often.
pub(crate) fn bits_per_byte(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum()
}
