//! The secrets of this bottle, found whole or in part, whatever stands between their characters (E9).
//!
//! A text is squeezed to its letters and digits, in lower case, and searched for grams of the squeezed secrets; each
//! hit is widened as far as secret and text agree.

mod grams;

use std::ops::Range;

use base::Secret;
use zeroize::Zeroizing;

use crate::classes::Mask;
use crate::finding::{Decoding, Detector, SecretName};
use grams::{Gram, Grams};

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
    grams: Grams,
}

struct Entry {
    detector: Detector,
    value: Secret,
    forward: Zeroizing<Vec<u8>>,
    backward: Zeroizing<Vec<u8>>,
    /// Squeezed characters that make a part; 0 where the value has too few, and only the value itself counts.
    min: usize,
}

/// Room that every text needs again.
#[derive(Default)]
pub(crate) struct Squeezed(Vec<u8>);

impl Squeezed {
    /// `letters`: the letters and digits of the text.
    fn fill(&mut self, text: &[u8], letters: &Mask) {
        self.0.clear();
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let blocks = blocks.iter().chain((!rest.is_empty()).then_some(&last));
        blocks.zip(letters.words()).for_each(|(block, marks)| self.add(block, *marks));
    }

    /// Adds what is kept of a block, run by run: a step is copied whole, and what is too much of it is written over by
    /// the next run. The bounds of both places are plain to the compiler.
    #[inline]
    fn add(&mut self, block: &[u8; 64], mut marks: u64) {
        const STEP: usize = 16;
        let mut lower = [0; 64 + STEP];
        // Of letters and digits this changes capitals only.
        lower.iter_mut().zip(block).for_each(|(lower, byte)| *lower = byte | 0x20);
        let mut kept = [0; 64 + STEP];
        let mut length = 0;
        while marks != 0 {
            let start = marks.trailing_zeros() as usize;
            let run = (!(marks >> start)).trailing_zeros() as usize;
            let mut step = 0;
            loop {
                let (from, to) = ((start + step) % 64, (length + step) % 64);
                kept[to..to + STEP].copy_from_slice(&lower[from..from + STEP]);
                step += STEP;
                if step >= run {
                    break;
                }
            }
            length += run;
            // The carry clears the lowest run.
            marks &= marks.wrapping_add(1 << start);
        }
        self.0.extend_from_slice(&kept[..length]);
    }
}

/// Shorter values are too common in ordinary text to be looked for.
const SHORTEST: usize = 6;
/// Squeezed characters below which a secret has no parts, only a whole.
const SHORTEST_SQUEEZED: usize = 8;

impl KnownSecrets {
    pub(crate) fn new(known: Vec<Known>) -> Self {
        let secrets: Vec<Entry> = known
            .into_iter()
            .filter(|known| known.value.expose().len() >= SHORTEST)
            .map(Entry::new)
            .collect();
        let shortest = secrets.iter().map(|entry| entry.min).filter(|min| *min > 0).min();
        let mut grams = Grams::new(shortest.unwrap_or(SHORTEST_SQUEEZED));
        for (secret, entry) in secrets.iter().enumerate().filter(|(_, entry)| entry.min > 0) {
            grams.add(&entry.forward, secret, false);
            grams.add(&entry.backward, secret, true);
        }
        grams.index();
        Self { secrets, grams }
    }

    /// The value of a secret that was found.
    pub(crate) fn value(&self, secret: usize) -> &Secret {
        &self.secrets[secret].value
    }

    /// Whether `text` holds a piece of any known secret, about half of what would be found.
    pub(crate) fn has_piece(&self, text: &[u8], letters: &Mask, room: &mut Squeezed) -> bool {
        if self.grams.is_empty() {
            return false;
        }
        room.fill(text, letters);
        (0..room.0.len()).any(|at| !self.grams.at(&room.0, at).is_empty())
    }

    /// Finds every known secret in `text`, which has these letters and digits.
    pub(crate) fn find(
        &self,
        text: &[u8],
        letters: &Mask,
        room: &mut Squeezed,
        found: &mut impl FnMut(KnownHit),
    ) {
        for (secret, entry) in self.secrets.iter().enumerate().filter(|(_, entry)| entry.min == 0) {
            for at in memchr::memmem::find_iter(text, entry.value.expose()) {
                let span = at..at + entry.value.expose().len();
                found(KnownHit { detector: entry.detector.clone(), span, disguise: None, secret });
            }
        }
        if !self.grams.is_empty() {
            room.fill(text, letters);
            self.find_squeezed(text, &room.0, found);
        }
    }

    fn find_squeezed(&self, text: &[u8], squeezed: &[u8], found: &mut impl FnMut(KnownHit)) {
        let mut at = 0;
        while at < squeezed.len() {
            let grams = self.grams.at(squeezed, at).iter();
            let wide = grams.map(|gram| (widen(squeezed, at, self.letters(gram), gram.offset), gram));
            let parts = wide.filter(|(wide, gram)| wide.len() >= self.secrets[gram.secret].min);
            let Some((wide, gram)) = parts.max_by_key(|(wide, _)| wide.len()) else {
                at += self.grams.stride;
                continue;
            };
            let entry = &self.secrets[gram.secret];
            let span = unsqueeze(text, &wide);
            let is_apart = span.len() > wide.len() && !holds(entry.value.expose(), &text[span.clone()]);
            let disguise = if gram.is_backward {
                Some(Decoding::Reversed)
            } else {
                is_apart.then_some(Decoding::Squeezed)
            };
            found(KnownHit { detector: entry.detector.clone(), span, disguise, secret: gram.secret });
            at = wide.end;
        }
    }

    fn letters(&self, gram: &Gram) -> &[u8] {
        let entry = &self.secrets[gram.secret];
        if gram.is_backward { &entry.backward } else { &entry.forward }
    }
}

impl Entry {
    fn new(known: Known) -> Self {
        let mut forward = Squeezed::default();
        let mut letters = Mask::default();
        let value = distinctive(known.value.expose()).as_bytes();
        letters.mark_alphanumeric(value);
        forward.fill(value, &letters);
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
    let mut kept = text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric());
    let start = kept.nth(wide.start).map_or(0, |(at, _)| at);
    let end = kept.nth(wide.len().saturating_sub(2)).map_or(text.len(), |(at, _)| at + 1);
    start..end
}

fn holds(value: &str, part: &[u8]) -> bool {
    value.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}
