//! What somebody does to a secret who wants it to pass.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::rng::{ALNUM, Rng};

/// A way to write a text.
#[derive(Clone, Copy)]
pub struct Disguise {
    /// What the report calls it.
    pub name: &'static str,
    /// Decoders that it takes to undo it.
    pub steps: u8,
    /// What it makes of a text.
    pub apply: fn(&mut Rng, &str) -> Vec<u8>,
}

const fn disguise(name: &'static str, steps: u8, apply: fn(&mut Rng, &str) -> Vec<u8>) -> Disguise {
    Disguise { name, steps, apply }
}

/// As it is.
pub const NONE: Disguise = disguise("none", 0, |_, text| text.into());

/// Ways that documented decoders undo.
pub const ENCODED: &[Disguise] = &[
    disguise("percent", 1, |_, text| percent(text.as_bytes()).into()),
    disguise("percent twice", 2, |_, text| percent(percent(text.as_bytes()).as_bytes()).into()),
    disguise("base64", 1, |_, text| STANDARD.encode(text).into()),
    disguise("base64 without padding", 1, |_, text| STANDARD_NO_PAD.encode(text).into()),
    disguise("base64url", 1, |_, text| URL_SAFE.encode(text).into()),
    disguise("base64url without padding", 1, |_, text| URL_SAFE_NO_PAD.encode(text).into()),
    disguise("base64 after junk", 1, |r, text| {
        let junk = r.between(1, 7);
        format!("{}{}", r.text(ALNUM, junk), STANDARD.encode(text)).into()
    }),
    disguise("base64 of a sentence around it", 1, |_, text| {
        STANDARD.encode(format!("Keep this for later: {text} and tell nobody.")).into()
    }),
    disguise("base64 in lines", 1, |_, text| lines(&STANDARD.encode(text), 40, "\r\n").into()),
    disguise("base32", 1, |_, text| base32(text.as_bytes()).into()),
    disguise("hex", 1, |_, text| hex::encode(text).into()),
    disguise("hex in capitals", 1, |_, text| hex::encode_upper(text).into()),
    disguise("hex with separators", 1, |r, text| {
        let (before, after) = *r.pick(&[("", ":"), ("", " "), ("\\x", ""), ("", "-"), ("0x", ", ")]);
        text.bytes().map(|byte| format!("{before}{byte:02x}{after}")).collect::<String>().into()
    }),
    disguise("\\u escapes", 1, |_, text| {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>().into()
    }),
    disguise("HTML entities", 1, |r, text| {
        let hexadecimal = r.below(2) == 0;
        let one = |c: char| {
            if hexadecimal { format!("&#x{:x};", u32::from(c)) } else { format!("&#{};", u32::from(c)) }
        };
        text.chars().map(one).collect::<String>().into()
    }),
    disguise("UTF-16 little-endian", 1, |_, text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    disguise("UTF-16 big-endian", 1, |_, text| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    disguise("base64 of hex", 2, |_, text| STANDARD.encode(hex::encode(text)).into()),
    disguise("base64 of base64", 2, |_, text| STANDARD.encode(STANDARD.encode(text)).into()),
    disguise("percent of base64", 2, |_, text| percent(STANDARD.encode(text).as_bytes()).into()),
    disguise("hex of base64url", 2, |_, text| hex::encode(URL_SAFE_NO_PAD.encode(text)).into()),
];

/// Ways that only work against who does not know the secret.
pub const KNOWN_ONLY: &[Disguise] = &[
    disguise("separators inserted", 1, |r, text| {
        let separator = *r.pick(&["-", " ", ".", "_", "\n", " / ", "|", "%20"]);
        let every = r.between(1, 5);
        lines(text, every, separator).into()
    }),
    disguise("reversed", 1, |_, text| text.chars().rev().collect::<String>().into()),
    disguise("in capitals", 1, |_, text| text.to_ascii_uppercase().into()),
    disguise("first three quarters", 1, |_, text| text[..text.len() * 3 / 4].into()),
    disguise("last three quarters", 1, |_, text| text[text.len() / 4..].into()),
    disguise("in quotes and plus signs", 1, |_, text| lines(text, 6, "\" + \"").into()),
];

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// In pieces of `every` bytes with `separator` between them; the text is ASCII.
fn lines(text: &str, every: usize, separator: &str) -> String {
    let pieces: Vec<_> = text.as_bytes().chunks(every).map(String::from_utf8_lossy).collect();
    pieces.join(separator)
}

/// RFC 4648 section 6, with padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        for place in 0..8 {
            let index = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
            out.push(if place < letters { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (text, coded) in [("", ""), ("f", "MY======"), ("fo", "MZXQ===="), ("foobar", "MZXW6YTBOI======")]
        {
            assert_eq!(super::base32(text.as_bytes()), coded);
        }
    }
}
