//! The secrets of this bottle, found whole or in part, whatever stands between their characters (E9).
//!
//! A text is squeezed to its letters and digits, in lower case, and searched for pieces of the squeezed secrets; each
//! hit is widened as far as secret and text agree. Pieces lie so close together that every part of the minimum length
//! holds one of them.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use base::Secret;
use zeroize::Zeroizing;

use crate::finding::{Decoding, Detector, SecretName};

/// A secret that the scanner is told of.
pub struct Known {
    /// What findings call it.
    pub name: SecretName,
    /// The value.
    pub value: Secret,
    /// Whether it is the bottle's canary (E11).
    pub is_canary: bool,
}

/// A secret in a text.
pub(crate) struct KnownHit {
    pub(crate) detector: Detector,
    /// Where the text has it.
    pub(crate) span: Range<usize>,
    /// How it stood there, if not as it is.
    pub(crate) disguise: Option<Decoding>,
    /// Which secret.
    pub(crate) secret: usize,
}

/// All known secrets, ready to be searched for.
pub(crate) struct KnownSecrets {
    secrets: Vec<Entry>,
    pieces: Option<AhoCorasick>,
    /// Whose piece, and where in it, by pattern.
    origins: Vec<Origin>,
}

struct Entry {
    detector: Detector,
    value: Secret,
    forward: Zeroizing<Vec<u8>>,
    backward: Zeroizing<Vec<u8>>,
    /// Squeezed characters that make a part; 0 where the value has too few, and only the value itself counts.
    min: usize,
}

#[derive(Clone, Copy)]
struct Origin {
    secret: usize,
    is_backward: bool,
    offset: usize,
}

/// Room that every text needs again.
#[derive(Default)]
pub(crate) struct Squeezed(Vec<u8>);

impl Squeezed {
    fn fill(&mut self, text: &[u8]) {
        self.0.clear();
        for block in text.chunks(128) {
            // A block fills half of it at most; the mask says so to the compiler, which then checks no bounds.
            let mut kept = [0; 256];
            let mut length = 0;
            for byte in block {
                let letter = SQUEEZED[usize::from(*byte)];
                kept[length & 255] = letter;
                length += usize::from(letter != 0);
            }
            self.0.extend_from_slice(&kept[..length & 255]);
        }
    }
}

/// The byte that is kept of each byte; 0 for none.
const SQUEEZED: [u8; 256] = {
    let mut kept = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() {
            kept[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    kept
};

/// Shorter values are too common in ordinary text to be looked for.
const SHORTEST: usize = 6;
/// Squeezed characters below which a secret has no parts, only a whole.
const SHORTEST_SQUEEZED: usize = 8;

impl KnownSecrets {
    pub(crate) fn new(known: Vec<Known>) -> Result<Self, aho_corasick::BuildError> {
        let secrets: Vec<Entry> = known
            .into_iter()
            .filter(|known| known.value.expose().len() >= SHORTEST)
            .map(Entry::new)
            .collect();
        let mut origins = Vec::new();
        let mut patterns: Vec<&[u8]> = Vec::new();
        for (secret, entry) in secrets.iter().enumerate().filter(|(_, entry)| entry.min > 0) {
            for (is_backward, letters) in [(false, &entry.forward), (true, &entry.backward)] {
                let length = entry.min / 2;
                let last = letters.len() - length;
                let stride = entry.min - length + 1;
                for offset in (0..last).step_by(stride).chain([last]) {
                    origins.push(Origin { secret, is_backward, offset });
                    patterns.push(&letters[offset..offset + length]);
                }
            }
        }
        let pieces = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&patterns)?;
        let pieces = (!patterns.is_empty()).then_some(pieces);
        Ok(Self { secrets, pieces, origins })
    }

    /// The value of a secret that was found.
    pub(crate) fn value(&self, secret: usize) -> &Secret {
        &self.secrets[secret].value
    }

    /// Whether `text` holds a piece of any known secret, about half of what would be found.
    pub(crate) fn has_piece(&self, text: &[u8], room: &mut Squeezed) -> bool {
        let Some(pieces) = &self.pieces else { return false };
        room.fill(text);
        pieces.is_match(&room.0)
    }

    /// Finds every known secret in `text`.
    pub(crate) fn find(&self, text: &[u8], room: &mut Squeezed, found: &mut impl FnMut(KnownHit)) {
        for (secret, entry) in self.secrets.iter().enumerate().filter(|(_, entry)| entry.min == 0) {
            for at in memchr::memmem::find_iter(text, entry.value.expose()) {
                let span = at..at + entry.value.expose().len();
                found(KnownHit { detector: entry.detector.clone(), span, disguise: None, secret });
            }
        }
        if let Some(pieces) = &self.pieces {
            room.fill(text);
            self.find_squeezed(pieces, text, &room.0, found);
        }
    }

    fn find_squeezed(
        &self,
        pieces: &AhoCorasick,
        text: &[u8],
        squeezed: &[u8],
        found: &mut impl FnMut(KnownHit),
    ) {
        let mut from = 0;
        while let Some(hit) = pieces.find(Input::new(squeezed).span(from..squeezed.len())) {
            from = hit.start() + 1;
            let origin = self.origins[hit.pattern().as_usize()];
            let entry = &self.secrets[origin.secret];
            let letters = if origin.is_backward { &entry.backward } else { &entry.forward };
            let wide = widen(squeezed, hit.start(), letters, origin.offset);
            if wide.len() < entry.min {
                continue;
            }
            from = wide.end.max(from);
            let span = unsqueeze(text, &wide);
            let is_apart = span.len() > wide.len() && !holds(entry.value.expose(), &text[span.clone()]);
            let disguise = if origin.is_backward {
                Some(Decoding::Reversed)
            } else {
                is_apart.then_some(Decoding::Squeezed)
            };
            found(KnownHit { detector: entry.detector.clone(), span, disguise, secret: origin.secret });
        }
    }
}

impl Entry {
    fn new(known: Known) -> Self {
        let mut forward = Squeezed::default();
        forward.fill(distinctive(known.value.expose()).as_bytes());
        let forward = Zeroizing::new(forward.0);
        let backward = Zeroizing::new(forward.iter().rev().copied().collect());
        let detector = if known.is_canary { Detector::Canary } else { Detector::KnownSecret(known.name) };
        let min = match forward.len() {
            0..SHORTEST_SQUEEZED => 0,
            length @ SHORTEST_SQUEEZED..16 => length,
            length => (length / 2).clamp(12, 16),
        };
        Self { detector, value: known.value, forward, backward, min }
    }
}

/// The value without what many secrets of its kind begin with: a JWT's header, a key file's first lines.
fn distinctive(value: &str) -> &str {
    const KEY_PREAMBLE: usize = 128;
    if value.starts_with("eyJ")
        && let Some((_, rest)) = value.split_once('.')
    {
        return rest;
    }
    if value.starts_with("-----BEGIN ") {
        let body = value.find('\n').map_or(value, |line| &value[line + 1..]);
        return body.get(KEY_PREAMBLE..).unwrap_or(body);
    }
    value
}

/// The stretch of the text around `at` that agrees with the secret, whose `offset` stands there.
fn widen(text: &[u8], at: usize, secret: &[u8], offset: usize) -> Range<usize> {
    let before =
        text[..at].iter().rev().zip(secret[..offset].iter().rev()).take_while(|(a, b)| a == b).count();
    let after = text[at..].iter().zip(&secret[offset..]).take_while(|(a, b)| a == b).count();
    at - before..at + after
}

/// Where the squeezed characters `wide` stand in the text.
fn unsqueeze(text: &[u8], wide: &Range<usize>) -> Range<usize> {
    let mut kept = text.iter().enumerate().filter(|(_, byte)| SQUEEZED[usize::from(**byte)] != 0);
    let start = kept.nth(wide.start).map_or(0, |(at, _)| at);
    let end = kept.nth(wide.len().saturating_sub(2)).map_or(text.len(), |(at, _)| at + 1);
    start..end
}

fn holds(value: &str, part: &[u8]) -> bool {
    value.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}
