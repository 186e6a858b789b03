//! A text in another form, and the way back from a place in it to the bytes as they arrived.

use std::ops::Range;
use std::rc::Rc;

use crate::classes::Mask;
use crate::decode::Codec;
use crate::finding::{Decoding, Via};

/// The decoded pieces of a parent text, each followed by a line feed so that nothing reads across two of them.
#[derive(Default)]
pub(crate) struct View {
    /// The pieces' bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where the pieces came from, in order.
    pieces: Vec<Piece>,
    /// The views that this one was made from, by index; none for the one made from the bytes as they arrived.
    parent: Option<usize>,
    depth: u8,
}

/// One decoded stretch of the parent, or what is printable of it.
struct Piece {
    /// Where it starts in the view.
    at: usize,
    codec: Codec,
    /// Stretches of the parent that were decoded as one.
    from: Rc<Parts>,
    /// Decoded bytes of them before this piece.
    skipped: usize,
}

/// Stretches of a parent that a decoder reads as one, such as the lines of wrapped base64.
pub(crate) enum Parts {
    /// The common case, without an allocation.
    One(Range<usize>),
    /// In order, without overlap.
    Many(Vec<Range<usize>>),
}

impl Parts {
    /// The stretches.
    pub(crate) fn as_slice(&self) -> &[Range<usize>] {
        match self {
            Self::One(range) => std::slice::from_ref(range),
            Self::Many(ranges) => ranges,
        }
    }
}

impl View {
    /// An empty view of the given parent, or of the bytes as they arrived.
    pub(crate) fn of(parent: Option<usize>, depth: u8) -> Self {
        Self { parent, depth, ..Self::default() }
    }

    /// How many decoders lie between it and the bytes as they arrived.
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether nothing was decoded into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Decodes stretches of the parent's text into a new piece.
    pub(crate) fn add(&mut self, parent: &[u8], codec: Codec, from: Parts) {
        let at = self.bytes.len();
        codec.decode(parent, from.as_slice(), &mut self.bytes);
        if self.bytes.len() > at {
            self.bytes.push(b'\n');
            self.pieces.push(Piece { at, codec, from: Rc::new(from), skipped: 0 });
        }
    }

    /// Decodes stretches of the parent's text, and makes pieces of what is printable in it: secrets are, and random
    /// bytes, which a decoder makes of every run that only looks encoded, hardly ever are.
    pub(crate) fn add_printable(&mut self, parent: &[u8], codec: Codec, from: Parts, printable: &mut Mask) {
        let at = self.bytes.len();
        codec.decode(parent, from.as_slice(), &mut self.bytes);
        printable.mark_printable(&self.bytes[at..]);
        let mut runs = printable.runs::<8>().peekable();
        if runs.peek().is_none() {
            return self.bytes.truncate(at);
        }
        let from = Rc::new(from);
        let mut end = at;
        for run in runs {
            self.pieces.push(Piece { at: end, codec, from: Rc::clone(&from), skipped: run.start });
            self.bytes.copy_within(at + run.start..at + run.end, end);
            end += run.len();
            // A run ends before a byte that is not printable, or with the text: there is room for its line feed.
            match self.bytes.get_mut(end) {
                Some(byte) => *byte = b'\n',
                None => self.bytes.push(b'\n'),
            }
            end += 1;
        }
        self.bytes.truncate(end);
    }

    /// The place in the parent that the bytes `span` of this view came from, and the decoder of the first of them.
    fn locate(&self, parent: &[u8], span: &Range<usize>) -> (Range<usize>, Decoding) {
        let (start, decoding) = self.origin(parent, span.start);
        let (end, _) = self.origin(parent, span.end.max(span.start + 1) - 1);
        (start.start.min(end.start)..start.end.max(end.end), decoding)
    }

    fn origin(&self, parent: &[u8], at: usize) -> (Range<usize>, Decoding) {
        let index = self.pieces.partition_point(|piece| piece.at <= at).max(1) - 1;
        let piece = &self.pieces[index];
        let mut origins: Vec<Range<usize>> = Vec::new();
        piece.codec.decode(parent, piece.from.as_slice(), &mut origins);
        let last = origins.len().saturating_sub(1);
        (origins[(piece.skipped + at - piece.at).min(last)].clone(), piece.codec.decoding())
    }
}

/// Follows a place in view `index` back to the bytes as they arrived.
pub(crate) fn trace(
    views: &[View],
    root: &[u8],
    index: usize,
    mut span: Range<usize>,
) -> (Range<usize>, Via) {
    let mut via = Vec::new();
    let mut at = Some(index);
    while let Some(index) = at {
        let parent = views[index].parent;
        let text = parent.map_or(root, |parent| &views[parent].bytes);
        let (before, decoding) = views[index].locate(text, &span);
        span = before;
        via.push(decoding);
        at = parent;
    }
    via.reverse();
    (span, via)
}
