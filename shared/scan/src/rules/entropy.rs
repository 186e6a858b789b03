//! How random a text looks.

/// Texts longer than this are also judged piece by piece, so that padding does not make a token look like words.
const PIECE: usize = 64;

/// Shannon entropy in bits per byte (0 to 8) of the text, or of its most random piece if that is more.
pub(super) fn highest(text: &[u8]) -> f64 {
    let whole = shannon(text);
    if text.len() <= 2 * PIECE {
        return whole;
    }
    text.chunks_exact(PIECE).map(shannon).fold(whole, f64::max)
}

fn shannon(text: &[u8]) -> f64 {
    if text.is_empty() {
        return 0.0;
    }
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "secrets are far shorter than 2^52 bytes")]
    let length = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bits() {
        assert!(shannon(b"").abs() < 1e-9);
        assert!(shannon(b"aaaa").abs() < 1e-9);
        assert!((shannon(b"abab") - 1.0).abs() < 1e-9);
        assert!((shannon(b"0123456789abcdef") - 4.0).abs() < 1e-9);
    }

    #[test]
    fn padding_does_not_hide_a_random_piece() {
        let mut text = b"q7Zk1VbX0mRt9LwCy4HsPe8JgNd2UaFo6TiKv3BxQ5rWcMhYzEuGlSpOnDjAI+/q".to_vec();
        text.extend([b'a'; 2000]);
        assert!(shannon(&text) < 1.0);
        assert!(highest(&text) > 5.0);
    }
}
