//! RFC 3986 section 2.1.

use std::ops::Range;

use super::{Regions, Sink};

/// The surroundings of every `%41`.
pub(super) fn regions(text: &[u8]) -> Vec<Range<usize>> {
    let mut regions = Regions::default();
    for at in memchr::memchr_iter(b'%', text) {
        if octet(text, at).is_some() {
            regions.add(text, at);
        }
    }
    regions.0
}

pub(super) fn decode(text: &[u8], part: Range<usize>, out: &mut impl Sink) {
    let text = &text[..part.end];
    let mut at = part.start;
    while at < part.end {
        let (byte, width) = octet(text, at).map_or((text[at], 1), |byte| (byte, 3));
        out.put(byte, at..at + width);
        at += width;
    }
}

fn octet(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at + 3)? {
        [b'%', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}
