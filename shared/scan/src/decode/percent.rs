//! RFC 3986 section 2.1.

use super::substitution::{Plain, Substitution, digit};

/// `%41`.
pub(super) const PERCENT: Substitution =
    Substitution { sign: b'%', read: octet, counts: |text| octet(text).is_some() };

fn octet(text: &[u8]) -> Option<(Plain, usize)> {
    match text {
        [b'%', high, low, ..] => Some((Plain::Byte(digit(*high)? << 4 | digit(*low)?), 3)),
        _ => None,
    }
}
