//! Character references of HTML and XML (WHATWG HTML section 13.5): numbers, and names of characters that tokens have.

use super::substitution::{Plain, Substitution, digit};

/// `&#65;` and `&amp;`.
pub(super) const ENTITY: Substitution =
    Substitution { sign: b'&', read: reference, counts: |text| reference(text).is_some() };

const NAMES: [(&[u8], u8); 17] = [
    (b"amp", b'&'),
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"nbsp", b' '),
    (b"lowbar", b'_'),
    (b"UnderBar", b'_'),
    (b"hyphen", b'-'),
    (b"dash", b'-'),
    (b"period", b'.'),
    (b"plus", b'+'),
    (b"sol", b'/'),
    (b"equals", b'='),
    (b"colon", b':'),
    (b"Tab", b'\t'),
    (b"NewLine", b'\n'),
];

/// Bytes of the longest name.
const LONGEST: usize = 8;

/// The character that a reference stands for, and its length. Browsers take numbers without their semicolon, too.
fn reference(text: &[u8]) -> Option<(Plain, usize)> {
    let rest = text.strip_prefix(b"&")?;
    let Some(number) = rest.strip_prefix(b"#") else {
        // A name ends here, or the text has the sign for something else, as programs do.
        memchr::memchr(b';', rest.get(..=LONGEST).unwrap_or(rest))?;
        let (name, byte) = NAMES.iter().find(|(name, _)| rest.starts_with(name))?;
        return (rest.get(name.len()) == Some(&b';')).then(|| (Plain::Byte(*byte), name.len() + 2));
    };
    let (base, digits, before) = match number {
        [b'x' | b'X', digits @ ..] => (16, digits, 3),
        digits => (10, digits, 2),
    };
    let mut code = 0u32;
    let mut count = 0;
    for byte in digits.iter().take(8) {
        let Some(value) = digit(*byte).filter(|value| *value < base) else { break };
        code = code.checked_mul(base.into())?.checked_add(value.into())?;
        count += 1;
    }
    let end = usize::from(digits.get(count) == Some(&b';'));
    (count > 0).then_some((Plain::numbered(code), before + count + end))
}
