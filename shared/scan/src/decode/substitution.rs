//! Encodings that write single characters as codes and leave the others as they are.

use std::ops::Range;

use super::{Regions, Sink};

/// One of them.
pub(super) struct Substitution {
    /// What every code begins with.
    pub(super) sign: u8,
    /// Reads the code that a text begins with: what it stands for, and the code's length.
    pub(super) read: fn(&[u8]) -> Option<(Plain, usize)>,
    /// Whether the code that a text begins with is worth decoding the text for.
    pub(super) counts: fn(&[u8]) -> bool,
}

/// What a code stands for.
pub(super) enum Plain {
    Byte(u8),
    Character(char),
}

impl Plain {
    /// A character by its number; the replacement character where there is none.
    pub(super) fn numbered(code: u32) -> Self {
        Self::Character(char::from_u32(code).unwrap_or('\u{fffd}'))
    }
}

impl Substitution {
    /// The surroundings of every code that counts; `signs` are the places where one may begin.
    pub(super) fn regions(&self, text: &[u8], signs: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
        let mut regions = Regions::default();
        for at in signs {
            if (self.counts)(&text[at..]) {
                regions.add(text, at);
            }
        }
        regions.0
    }

    pub(super) fn decode(&self, text: &[u8], part: Range<usize>, out: &mut impl Sink) {
        let text = &text[..part.end];
        let mut at = part.start;
        while at < part.end {
            let code = if text[at] == self.sign { (self.read)(&text[at..]) } else { None };
            let (plain, width) = code.unwrap_or((Plain::Byte(text[at]), 1));
            match plain {
                Plain::Byte(byte) => out.put(byte, at..at + width),
                Plain::Character(character) => {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        out.put(byte, at..at + width);
                    }
                }
            }
            at += width;
        }
    }
}

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}
