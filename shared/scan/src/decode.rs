//! Decoders: from a stretch of text to the bytes that it stands for.
//!
//! Each is bounded (no output is longer than its input but by a constant) and lenient: what is not encoded stays as it
//! is. Whether a decoded text means anything is for the rules to say.

mod base32;
mod base64;
mod entity;
mod escape;
mod fields;
mod hex;
mod percent;
mod substitution;
mod utf16;

use std::ops::Range;

use crate::classes::{Classes, Mask};
use crate::finding::Decoding;
use crate::view::{Parts, View};

use entity::ENTITY;
use escape::ESCAPE;
pub use fields::Shape;
use percent::PERCENT;

/// Where a decoder puts a byte, and the bytes of the source that it came from.
pub(crate) trait Sink {
    fn put(&mut self, byte: u8, from: Range<usize>);

    /// Three bytes each time; `from` says where those of the nth time came from.
    fn put_threes(
        &mut self,
        threes: impl ExactSizeIterator<Item = [u8; 3]>,
        from: impl Fn(usize) -> [Range<usize>; 3],
    ) {
        for (nth, three) in threes.enumerate() {
            three.into_iter().zip(from(nth)).for_each(|(byte, from)| self.put(byte, from));
        }
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, byte: u8, _: Range<usize>) {
        self.push(byte);
    }

    #[inline]
    fn put_threes(
        &mut self,
        threes: impl ExactSizeIterator<Item = [u8; 3]>,
        _: impl Fn(usize) -> [Range<usize>; 3],
    ) {
        let start = self.len();
        self.resize(start + 3 * threes.len(), 0);
        let (room, _) = self[start..].as_chunks_mut::<3>();
        room.iter_mut().zip(threes).for_each(|(room, three)| *room = three);
    }
}

/// Keeps the places only.
impl Sink for Vec<Range<usize>> {
    fn put(&mut self, _: u8, from: Range<usize>) {
        self.push(from);
    }
}

/// A decoder with its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Codec {
    Percent,
    Escape,
    Entity,
    /// The characters that are skipped at the start: a run need not begin where the encoding did.
    Base64(u8),
    /// As for base64.
    Base32(u8),
    /// As for base64.
    Hex(u8),
    /// Every second byte.
    Utf16,
    /// As it is.
    Fields,
}

impl Codec {
    /// What it is called.
    pub(crate) fn decoding(self) -> Decoding {
        match self {
            Self::Percent => Decoding::Percent,
            Self::Escape => Decoding::Escape,
            Self::Entity => Decoding::Entity,
            Self::Base64(_) => Decoding::Base64,
            Self::Base32(_) => Decoding::Base32,
            Self::Hex(_) => Decoding::Hex,
            Self::Utf16 => Decoding::Utf16,
            Self::Fields => Decoding::Fields,
        }
    }

    /// Decodes the parts of `text`, read as one.
    pub(crate) fn decode<S: Sink>(self, text: &[u8], parts: &[Range<usize>], out: &mut S) {
        match self {
            Self::Percent => each(parts, |part| PERCENT.decode(text, part, out)),
            Self::Escape => each(parts, |part| ESCAPE.decode(text, part, out)),
            Self::Entity => each(parts, |part| ENTITY.decode(text, part, out)),
            Self::Base64(skip) => base64::decode(text, parts, skip, out),
            Self::Base32(skip) => base32::decode(text, parts, skip, out),
            Self::Hex(skip) => hex::decode(text, parts, skip, out),
            Self::Utf16 => each(parts, |part| utf16::decode(text, part, out)),
            Self::Fields => each(parts, |part| part.for_each(|at| out.put(text[at], at..at + 1))),
        }
    }
}

fn each(parts: &[Range<usize>], mut decode: impl FnMut(Range<usize>)) {
    parts.iter().cloned().for_each(&mut decode);
}

/// Decodes whatever in `text`, which has these classes, looks encoded; one view for each kind of encoding. `child` makes
/// an empty view, `printable` is room that is needed again.
pub(crate) fn views(
    text: &[u8],
    classes: &Classes,
    printable: &mut Mask,
    child: &impl Fn() -> View,
    found: &mut Vec<View>,
) {
    let mut collect = |fill: &mut dyn FnMut(&mut View)| {
        let mut view = child();
        fill(&mut view);
        if !view.is_empty() {
            found.push(view);
        }
    };
    for (codec, regions) in [
        (Codec::Percent, PERCENT.regions(text, memchr::memchr_iter(PERCENT.sign, text))),
        (Codec::Escape, ESCAPE.regions(text, classes.backslash.places())),
        (Codec::Entity, ENTITY.regions(text, memchr::memchr_iter(ENTITY.sign, text))),
        (Codec::Utf16, utf16::regions(text)),
    ] {
        collect(&mut |view| {
            regions.iter().for_each(|region| view.add(text, codec, Parts::One(region.clone())));
        });
    }
    collect(&mut |view| base64::views(text, &classes.base64, view, printable));
    collect(&mut |view| base32::views(text, &classes.base32, view, printable));
    collect(&mut |view| hex::views(text, &classes.hex, view, printable));
}

/// The values of the text's fields one after another, if it has fields.
pub(crate) fn joined(text: &[u8], shape: &Shape, child: &impl Fn() -> View) -> Option<View> {
    let mut view = child();
    fields::views(text, shape, &mut view);
    (!view.is_empty()).then_some(view)
}

/// The words around places that are encoded: a token is decoded whole though only one of its bytes is in disguise.
#[derive(Default)]
struct Regions(Vec<Range<usize>>);

impl Regions {
    /// Bytes of a word on each side.
    const WORD: usize = 512;
    /// Bytes before the word: a rule's keyword may stand there.
    const BEFORE: usize = 64;

    /// Adds a place, in order.
    fn add(&mut self, text: &[u8], at: usize) {
        if self.0.last().is_some_and(|last| at < last.end.saturating_sub(1)) {
            return;
        }
        let is_word = |byte: &&u8| !byte.is_ascii_whitespace();
        let before = text[..at].iter().rev().take(Self::WORD).take_while(is_word).count();
        let after = text[at..].iter().take(Self::WORD).take_while(is_word).count();
        let around = (at - before).saturating_sub(Self::BEFORE)..at + after;
        match self.0.last_mut() {
            Some(last) if last.end >= around.start => last.end = around.end,
            _ => self.0.push(around),
        }
    }
}
