//! How random a text looks.

use crate::entropy::bits_per_byte;

/// Texts longer than this are also judged piece by piece, so that padding does not make a token look like words.
const PIECE: usize = 64;

/// Shannon entropy in bits per byte (0 to 8) of the text, or of its most random piece if that is more.
pub(super) fn highest(text: &[u8]) -> f64 {
    let whole = bits_per_byte(text);
    if text.len() <= 2 * PIECE {
        return whole;
    }
    text.chunks_exact(PIECE).map(bits_per_byte).fold(whole, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bits() {
        assert!(bits_per_byte(b"").abs() < 1e-9);
        assert!(bits_per_byte(b"aaaa").abs() < 1e-9);
        assert!((bits_per_byte(b"abab") - 1.0).abs() < 1e-9);
        assert!((bits_per_byte(b"0123456789abcdef") - 4.0).abs() < 1e-9);
    }

    #[test]
    fn padding_does_not_hide_a_random_piece() {
        let mut text = b"q7Zk1VbX0mRt9LwCy4HsPe8JgNd2UaFo6TiKv3BxQ5rWcMhYzEuGlSpOnDjAI+/q".to_vec();
        text.extend([b'a'; 2000]);
        assert!(bits_per_byte(&text) < 1.0);
        assert!(highest(&text) > 5.0);
    }
}
