//! Bytes as text, for a program that reads text.

use std::borrow::Cow;

/// The shortest stretch of text that is worth reading among other bytes.
const SHORTEST: usize = 8;

/// Text as it stands; of other bytes, what can be read in them. Lines stay lines. Zero bytes go first, so that ASCII in
/// UTF-16 is text.
pub(super) fn readable(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..);
    if bytes.iter().all(is_plain) && std::str::from_utf8(bytes).is_ok() {
        return Cow::Borrowed(bytes);
    }
    let kept: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let mut text = Vec::with_capacity(kept.len() / 4);
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\r' | 0x20..=0x7e);
    for (at, line) in kept.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            text.push(b'\n');
        }
        for run in line.split(|byte| !is_text(*byte)).filter(|run| run.len() >= SHORTEST) {
            text.extend_from_slice(run);
            text.push(b' ');
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_noise_goes() {
        assert_eq!(&*readable("größe\n".as_bytes()), "größe\n".as_bytes());
        let wide: Vec<u8> = "a secret\r\nof two lines".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(&*readable(&wide), b"a secret\r \nof two lines ");
        assert_eq!(&*readable(b"\x01\x02abc\nlong enough\xff\xfe"), b"\nlong enough ");
    }
}
