//! RFC 4648 section 6, in either case: what fits into a host name.

use std::ops::Range;

use super::{Codec, Sink};
use crate::classes::Mask;
use crate::view::{Parts, View};

/// Characters that make a run: 15 bytes.
const MIN: usize = 24;

/// Decodes every run that could be base32.
pub(super) fn views(text: &[u8], mask: &Mask, view: &mut View, printable: &mut Mask) {
    for run in mask.runs::<16>().filter(|run| run.len() >= MIN && is_likely(&text[run.clone()])) {
        for skip in 0..8 {
            view.add_printable(text, Codec::Base32(skip), Parts::One(run.clone()), printable);
        }
    }
}

/// One case, and both letters and digits: 24 characters of any text have both.
fn is_likely(stretch: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| stretch.iter().any(is);
    has(u8::is_ascii_digit) && (has(u8::is_ascii_uppercase) != has(u8::is_ascii_lowercase))
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    }
}

pub(super) fn decode(text: &[u8], parts: &[Range<usize>], skip: u8, out: &mut impl Sink) {
    let mut bits = 0u16;
    let mut count = 0;
    let mut start = None;
    for at in parts.iter().cloned().flatten().skip(skip.into()) {
        let Some(value) = value(text[at]) else { continue };
        bits = bits << 5 | u16::from(value);
        count += 5;
        let first = *start.get_or_insert(at);
        if count >= 8 {
            count -= 8;
            out.put((bits >> count) as u8, first..at + 1);
            start = (count > 0).then_some(at);
        }
    }
}
