//! Secrets made from a seed, and the disguises they come in.

use std::fmt::Write as _;
use std::sync::Arc;

use scan::{Detectors, Known, Rules};

/// A token of a documented form.
pub(crate) fn token() -> String {
    let letters: String = scatter(7, 36).collect();
    format!("gh{}_{letters}", 'p')
}

/// A secret of the bottle, of no known form.
pub(crate) fn secret() -> String {
    scatter(11, 40).collect()
}

/// Letters and digits that look random.
fn scatter(seed: u64, count: usize) -> impl Iterator<Item = char> {
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut state = seed;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 33) as usize % alphabet.len()]
    })
}

/// Detectors that know [`secret`].
pub(crate) fn detectors() -> Arc<Detectors> {
    let known = Known { name: "SECRET".into(), value: base::Secret::new(secret()), is_canary: false };
    let key = base::Secret::new("key of the test".to_owned());
    Arc::new(Detectors::new(Rules::standard(), vec![known], key))
}

/// A way to write a value so that a plain search does not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disguise {
    None,
    Percent,
    PercentTwice,
    Base64,
    Base64Url,
    Base64Shifted,
    Base64Twice,
    Base64Wrapped,
    Base32,
    Hex,
    HexPairs,
    HexEscapes,
    HexOfBase64,
    Unicode,
    Entities,
    Utf16,
}

impl Disguise {
    pub(crate) const ALL: [Self; 16] = [
        Self::None,
        Self::Percent,
        Self::PercentTwice,
        Self::Base64,
        Self::Base64Url,
        Self::Base64Shifted,
        Self::Base64Twice,
        Self::Base64Wrapped,
        Self::Base32,
        Self::Hex,
        Self::HexPairs,
        Self::HexEscapes,
        Self::HexOfBase64,
        Self::Unicode,
        Self::Entities,
        Self::Utf16,
    ];

    /// The value in disguise.
    pub(crate) fn put_on(self, value: &str) -> Vec<u8> {
        match self {
            Self::None => value.into(),
            Self::Percent => each_byte(value.as_bytes(), |out, byte| write!(out, "%{byte:02x}")),
            Self::PercentTwice => each_byte(value.as_bytes(), |out, byte| write!(out, "%25{byte:02X}")),
            Self::Base64 => base64(value.as_bytes(), b"+/", true),
            Self::Base64Url => base64(value.as_bytes(), b"-_", false),
            Self::Base64Shifted => [b"/x/".to_vec(), base64(value.as_bytes(), b"+/", true)].concat(),
            Self::Base64Twice => base64(&base64(value.as_bytes(), b"+/", true), b"+/", true),
            Self::Base64Wrapped => {
                base64(value.as_bytes(), b"+/", true).chunks(20).collect::<Vec<_>>().join(&b"\r\n"[..])
            }
            Self::Base32 => base32(value.as_bytes()),
            Self::Hex => each_byte(value.as_bytes(), |out, byte| write!(out, "{byte:02x}")),
            Self::HexPairs => each_byte(value.as_bytes(), |out, byte| write!(out, "{byte:02x}:")),
            Self::HexEscapes => each_byte(value.as_bytes(), |out, byte| write!(out, "\\x{byte:02x}")),
            Self::HexOfBase64 => Self::Hex.put_on(&String::from_utf8_lossy(&Self::Base64.put_on(value))),
            Self::Unicode => each_byte(value.as_bytes(), |out, byte| write!(out, "\\u{byte:04x}")),
            Self::Entities => each_byte(value.as_bytes(), |out, byte| write!(out, "&#{byte};")),
            Self::Utf16 => value.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// Bytes of the disguise before anything of the value.
    pub(crate) fn lead(self) -> usize {
        if self == Self::Base64Shifted { 3 } else { 0 }
    }
}

fn each_byte(value: &[u8], show: impl Fn(&mut String, u8) -> std::fmt::Result) -> Vec<u8> {
    let mut text = String::new();
    value.iter().for_each(|byte| show(&mut text, *byte).expect("a string takes everything"));
    text.into_bytes()
}

fn base64(value: &[u8], last: &[u8; 2], is_padded: bool) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let mut text = digits(value, 6, &alphabet);
    while is_padded && !text.len().is_multiple_of(4) {
        text.push(b'=');
    }
    text
}

fn base32(value: &[u8]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'2'..=b'7').collect();
    digits(value, 5, &alphabet)
}

fn digits(value: &[u8], width: usize, alphabet: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |bits: &[u8]| {
        let value = bits.iter().fold(0, |value, bit| value << 1 | usize::from(*bit)) << (width - bits.len());
        alphabet[value]
    };
    bits.chunks(width).map(digit).collect()
}
