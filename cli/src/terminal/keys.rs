//! The key that leaves a bottle running. Pure.

use std::fmt;
use std::str::FromStr;

/// A letter or sign that is pressed with Ctrl, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetachKey(Option<u8>);

impl Default for DetachKey {
    /// Ctrl-].
    fn default() -> Self {
        Self(Some(b']'))
    }
}

impl FromStr for DetachKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        match text.to_ascii_lowercase().strip_prefix("ctrl-").map(str::as_bytes) {
            Some(&[sign @ (b'a'..=b'z' | b'\\' | b']' | b'^' | b'_')]) => Ok(Self(Some(sign))),
            _ => Err("write ctrl- and a letter or one of ] \\ ^ _, or none".to_owned()),
        }
    }
}

impl fmt::Display for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sign) => write!(f, "Ctrl-{}", sign.to_ascii_uppercase() as char),
            None => f.pad("none"),
        }
    }
}

impl DetachKey {
    /// What was typed before the key, if it was typed. A terminal says it as a control character, or, where a program has
    /// asked for that, as a number with modifiers.
    #[must_use]
    pub fn cut(self, typed: &[u8]) -> Option<&[u8]> {
        let sign = self.0?;
        let is_key = |rest: &[u8]| rest.first() == Some(&(sign & 0x1f)) || is_told(rest, sign);
        (0..typed.len()).find(|&at| is_key(&typed[at..])).map(|at| &typed[..at])
    }
}

/// Whether these bytes begin with `CSI sign ; ctrl u` or `CSI 27 ; ctrl ; sign ~`.
fn is_told(bytes: &[u8], sign: u8) -> bool {
    let Some(rest) = bytes.strip_prefix(b"\x1b[") else { return false };
    let Some(end) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else { return false };
    let Ok(text) = str::from_utf8(&rest[..end]) else { return false };
    let fields: Vec<Vec<Option<u32>>> =
        text.split(';').map(|field| field.split(':').map(|number| number.parse().ok()).collect()).collect();
    let first = |field: usize| fields.get(field).and_then(|numbers| numbers[0]);
    let (key, modifiers) = match rest[end] {
        b'u' => (first(0), first(1)),
        b'~' if first(0) == Some(27) => (first(2), first(1)),
        _ => return false,
    };
    // Ctrl, whatever the locks are. A key that is let go is not pressed.
    let is_released = fields.get(1).and_then(|numbers| numbers.get(1)) == Some(&Some(3));
    let has_ctrl = modifiers.is_some_and(|modifiers| modifiers.wrapping_sub(1) & 0x3f == 4);
    key == Some(u32::from(sign)) && has_ctrl && !is_released
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_however_it_is_told() {
        let key = DetachKey::default();
        for told in [
            b"ab\x1dcd".as_slice(),
            b"ab\x1b[93;5u",
            b"ab\x1b[93;133u",
            b"ab\x1b[93;5:1u",
            b"ab\x1b[27;5;93~",
        ] {
            assert_eq!(key.cut(told), Some(b"ab".as_slice()), "{told:?}");
        }
        for other in [b"ab]".as_slice(), b"\x1b[93;1u", b"\x1b[93;5:3u", b"\x1b[93;7u", b"\x1b[", b""] {
            assert_eq!(key.cut(other), None, "{other:?}");
        }
        assert_eq!("ctrl-Q".parse::<DetachKey>().unwrap().cut(b"x\x11"), Some(b"x".as_slice()));
        assert_eq!("none".parse::<DetachKey>().unwrap().cut(b"\x1d"), None);
        for bad in ["q", "ctrl-", "ctrl-1", "alt-q"] {
            bad.parse::<DetachKey>().unwrap_err();
        }
    }
}
