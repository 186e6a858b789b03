//! Backslash escapes of JSON (RFC 8259 section 7), JavaScript, Python and C.

use std::ops::Range;

use super::percent::digit;
use super::{Regions, Sink};

/// The surroundings of every escape that hides a printable character.
pub(super) fn regions(text: &[u8]) -> Vec<Range<usize>> {
    let mut regions = Regions::default();
    for at in memchr::memchr_iter(b'\\', text) {
        if matches!(text.get(at + 1), Some(b'u' | b'U' | b'x' | b'/' | b'0'..=b'7')) {
            regions.add(text, at);
        }
    }
    regions.0
}

pub(super) fn decode(text: &[u8], part: Range<usize>, out: &mut impl Sink) {
    let text = &text[..part.end];
    let mut at = part.start;
    while at < part.end {
        let Some((code, width)) = escaped(&text[at..]) else {
            out.put(text[at], at..at + 1);
            at += 1;
            continue;
        };
        let mut utf8 = [0; 4];
        for byte in char::from_u32(code).unwrap_or('\u{fffd}').encode_utf8(&mut utf8).bytes() {
            out.put(byte, at..at + width);
        }
        at += width;
    }
}

/// The character that an escape stands for, and its length.
fn escaped(text: &[u8]) -> Option<(u32, usize)> {
    let [b'\\', kind, rest @ ..] = text else { return None };
    match kind {
        b'u' if rest.first() == Some(&b'{') => {
            let close = rest.iter().take(8).position(|byte| *byte == b'}')?;
            Some((number(rest.get(1..close)?, 16)?, close + 3))
        }
        b'u' => Some((number(rest.get(..4)?, 16)?, 6)),
        b'U' => Some((number(rest.get(..8)?, 16)?, 10)),
        b'x' => Some((number(rest.get(..2)?, 16)?, 4)),
        b'0'..=b'7' => {
            let digits = text[1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            Some((number(&text[1..=digits], 8)?, digits + 1))
        }
        b'n' => Some((u32::from(b'\n'), 2)),
        b'r' => Some((u32::from(b'\r'), 2)),
        b't' => Some((u32::from(b'\t'), 2)),
        b'/' | b'\\' | b'"' | b'\'' => Some((u32::from(*kind), 2)),
        _ => None,
    }
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |sum, byte| {
        sum.checked_mul(base)?.checked_add(digit(*byte).filter(|digit| u32::from(*digit) < base)?.into())
    })
}
