//! Ways to write a word so that it is not found: what shows that they are in use, and how to see through them.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What a character becomes in plain form.
pub(super) enum Folded {
    /// It is invisible.
    Nothing,
    /// It stands for an ASCII character.
    Byte(u8),
    /// It is a tag character that stands for one.
    Tag(u8),
    /// It is itself.
    Same,
}

/// Folds accents, look-alikes of Cyrillic and Greek, wide letters and typographic quotes; drops what has no width.
pub(super) fn fold(character: u32) -> Folded {
    let folded = match character {
        0..0x80 => u8::try_from(character).unwrap_or(b' '),
        0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2069 | 0xfe00..=0xfe0f | 0xfeff => {
            return Folded::Nothing;
        }
        0xa0 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x3000 => b' ',
        0xe0..=0xe5 | 0xc0..=0xc5 | 0x430 | 0x410 | 0x3b1 | 0x391 => b'a',
        0xe7 | 0xc7 | 0x441 | 0x421 => b'c',
        0xe8..=0xeb | 0xc8..=0xcb | 0x435 | 0x415 | 0x395 => b'e',
        0xec..=0xef | 0xcc..=0xcf | 0x456 | 0x406 | 0x3b9 | 0x399 | 0x131 => b'i',
        0xf1 | 0xd1 => b'n',
        0xf2..=0xf6 | 0xd2..=0xd6 | 0x43e | 0x41e | 0x3bf | 0x39f => b'o',
        0xf9..=0xfc | 0xd9..=0xdc => b'u',
        0x440 | 0x420 | 0x3c1 | 0x3a1 => b'p',
        0x443 | 0x423 | 0x3a5 => b'y',
        0x445 | 0x425 | 0x3a7 => b'x',
        0x455 | 0x405 | 0xdf => b's',
        0x458 | 0x408 => b'j',
        0x43a | 0x41a | 0x39a => b'k',
        0x412 => b'b',
        0x41c | 0x39c => b'm',
        0x41d | 0x397 => b'h',
        0x422 | 0x3a4 => b't',
        0x501 => b'd',
        0x51b => b'q',
        0x4bb => b'h',
        0x2018 | 0x2019 | 0x201a | 0x2039 | 0x203a => b'\'',
        0x201c..=0x201f | 0xab | 0xbb | 0x300c | 0x300d => b'"',
        0xff01..=0xff5e => u8::try_from(character - 0xff01 + 0x21).unwrap_or(b' '),
        0xe0020..=0xe007e => return Folded::Tag(u8::try_from(character - 0xe0000).unwrap_or(b' ')),
        0xe0000..=0xe0fff => return Folded::Nothing,
        _ => return Folded::Same,
    };
    Folded::Byte(folded)
}

/// How a word is veiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Veil {
    /// Characters that the plain form sees through.
    Characters,
    /// Digits for letters.
    Digits,
    /// A space between any two letters.
    Spaced,
    /// Base64 of words that instructions are made of.
    Base64,
}

impl Veil {
    /// How many kinds there are.
    pub(super) const COUNT: usize = 4;
}

/// Zero-width characters, soft hyphens, tag characters, wide and Cyrillic vowels, escaped and numbered letters.
const CHARACTERS: &[&str] = &[
    "\u{200b}",
    "\u{200c}",
    "\u{200d}",
    "\u{2060}",
    "\u{ad}",
    "\u{e0041}",
    "\u{e0049}",
    "\u{e0053}",
    "\u{e0061}",
    "\u{e0065}",
    "\u{e0069}",
    "\u{e006e}",
    "\u{e0072}",
    "ａ",
    "ｅ",
    "ｉ",
    "ｏ",
    "Ａ",
    "Ｉ",
    "\u{435}",
    "\u{456}",
    "&#1",
    "&#x6",
    "&#x7",
    "&#6",
    "&#7",
    "&#8",
    "\\u006",
    "\\u007",
    "\\u004",
    "**ig",
    "**dis",
    "<b>ig",
    "<wbr>",
];

const DIGITS: &[&str] = &[
    "1gn0re",
    "ign0re",
    "1gnore",
    "1nstruct",
    "instruct10n",
    "instructi0n",
    "pr3v",
    "syst3m",
    "pr0mpt",
    "d1sreg",
    "f0rget",
];

const SPACED: &[&str] =
    &["i g n o r e", "d i s r e g", "f o r g e t", "s y s t e m", "p r o m p t", "i n s t r u c t"];

/// Words whose base64 is looked for, in the letter case they have within a sentence.
const ENCODED: &[&str] = &["nstructions", "gnore ", "orget ", "isregard", "ystem prompt", "curl http"];

/// The traces that veils leave in a text, in any letter case.
pub(super) fn traces() -> impl Iterator<Item = (Veil, String)> {
    let lists = [(Veil::Characters, CHARACTERS), (Veil::Digits, DIGITS), (Veil::Spaced, SPACED)];
    let literals = lists
        .into_iter()
        .flat_map(|(veil, list)| list.iter().map(move |&literal| (veil, literal.to_owned())));
    literals.chain(ENCODED.iter().flat_map(|word| alignments(word)).map(|trace| (Veil::Base64, trace)))
}

/// The letters that a word's base64 always has, for each of the three places it can begin at.
fn alignments(word: &str) -> impl Iterator<Item = String> {
    (0..3).map(move |before| {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD
            .encode([&vec![0; before], word.as_bytes()].concat());
        let (from, bits) = ((before * 8).div_ceil(6), (before + word.len()) * 8);
        encoded[from..bits / 6].to_owned()
    })
}

/// Digits that stand for letters, in words that have letters too.
pub(super) fn undo_digits(plain: &[u8]) -> Vec<u8> {
    plain
        .iter()
        .map(|byte| match byte {
            b'0' => b'o',
            b'1' => b'i',
            b'3' => b'e',
            b'4' | b'@' => b'a',
            b'5' | b'$' => b's',
            b'7' => b't',
            other => *other,
        })
        .collect()
}

/// Letters that stand alone joined again; two spaces, or what is no letter, end a word.
pub(super) fn undo_spaces(text: &[u8]) -> Vec<u8> {
    let lone = |at: usize| {
        text.get(at).is_some_and(u8::is_ascii_alphabetic)
            && (at == 0 || text[at - 1] == b' ')
            && matches!(text.get(at + 1), None | Some(b' ' | b'.' | b',' | b'!'))
    };
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let within = byte == b' ' && at > 0 && lone(at - 1) && lone(at + 1);
        if !within {
            out.push(byte);
        }
    }
    out
}

/// The bytes that the base64 run around `at` stands for, without what its broken ends do.
pub(super) fn undo_base64(text: &[u8], at: usize) -> Vec<u8> {
    const LONGEST: usize = 2048;
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    let before = text[..at].iter().rev().take(LONGEST).take_while(|b| is_letter(b)).count();
    let behind = text[at..].iter().take(LONGEST).take_while(|b| is_letter(b)).count();
    let mut run: Vec<u8> = text[at - before..at + behind].to_vec();
    for byte in &mut run {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    run.truncate(run.len() / 4 * 4);
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(run).unwrap_or_default()
}
