//! Backslash escapes of JSON (RFC 8259 section 7), JavaScript, Python and C.

use super::substitution::{Plain, Substitution, digit};

/// `\u0041` and its kin; worth decoding where it hides a printable character.
pub(super) const ESCAPE: Substitution = Substitution {
    sign: b'\\',
    read: escaped,
    counts: |text| matches!(text.get(1), Some(b'u' | b'U' | b'x' | b'/' | b'0'..=b'7')),
};

fn escaped(text: &[u8]) -> Option<(Plain, usize)> {
    numbered(text).map(|(code, width)| (Plain::numbered(code), width))
}

/// The character that an escape stands for, and its length.
fn numbered(text: &[u8]) -> Option<(u32, usize)> {
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
