//! One stretch of text, looked at in all of its forms.

use std::cell::RefCell;
use std::ops::Range;

use crate::classes::{Classes, Mask};
use crate::decode::{self, Shape};
use crate::detectors::{Detectors, Enabled, TooComplex};
use crate::entropy;
use crate::finding::{Detector, Finding};
use crate::known::Squeezed;
use crate::view::{View, trace};

/// Decoders in a row. Percent-encoding is undone up to five times; who encodes more deeply needs a decoder of their own
/// on the other side, and then could as well use a cipher.
const MAX_DEPTH: u8 = 5;
/// Decoded bytes per byte of text, over all forms.
const MAX_GROWTH: usize = 32;
/// Decoded bytes that any text may have.
const MIN_BUDGET: usize = 64 << 10;

/// Room that every window needs again: about three times its size.
#[derive(Default)]
pub(crate) struct Room {
    /// Of the text that is being looked at.
    classes: Classes,
    printable: Mask,
    squeezed: Squeezed,
}

impl Room {
    /// Lends out the thread's own room, so that short texts need none made for them.
    pub(crate) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static ROOM: RefCell<Room> = RefCell::default();
        }
        ROOM.with(|room| match room.try_borrow_mut() {
            Ok(mut room) => work(&mut room),
            Err(_) => work(&mut Self::default()),
        })
    }
}

/// All findings in `text`, whose first byte is byte `offset` of the stream, in the order of their places.
pub(crate) fn scan(
    detectors: &Detectors,
    text: &[u8],
    offset: u64,
    enabled: Enabled,
    shape: &Shape,
    room: &mut Room,
) -> Result<Vec<Finding>, TooComplex> {
    let mut search = Search { detectors, text, offset, enabled, views: Vec::new(), found: Vec::new() };
    let mut budget = (text.len() * MAX_GROWTH).max(MIN_BUDGET);
    let mut next = None;
    loop {
        room.classes.mark(search.bytes(next));
        search.look(next, &room.classes, &mut room.squeezed);
        search.derive(next, shape, room, &mut budget)?;
        let index = next.map_or(0, |index| index + 1);
        if index == search.views.len() {
            return Ok(one_each(search.found));
        }
        next = Some(index);
    }
}

/// Whether a secret may have begun in `text`, the last word that has come so far.
pub(crate) fn may_begin(detectors: &Detectors, text: &[u8], room: &mut Room) -> Result<bool, TooComplex> {
    let mut search = Search {
        detectors,
        text,
        offset: 0,
        enabled: Enabled::default(),
        views: Vec::new(),
        found: Vec::new(),
    };
    let mut budget = (text.len() * MAX_GROWTH).max(MIN_BUDGET);
    let mut next = None;
    loop {
        let bytes = search.bytes(next);
        room.classes.mark(bytes);
        if detectors.rules.has_keyword(bytes)
            || detectors.known.has_piece(bytes, &room.classes.alphanumeric, &mut room.squeezed)
        {
            return Ok(true);
        }
        search.derive(next, &Shape::Plain, room, &mut budget)?;
        let index = next.map_or(0, |index| index + 1);
        if index == search.views.len() {
            return Ok(false);
        }
        next = Some(index);
    }
}

struct Search<'a> {
    detectors: &'a Detectors,
    text: &'a [u8],
    offset: u64,
    enabled: Enabled,
    views: Vec<View>,
    found: Vec<Finding>,
}

impl Search<'_> {
    /// A view's bytes, or the text itself.
    fn bytes(&self, view: Option<usize>) -> &[u8] {
        view.map_or(self.text, |index| self.views[index].bytes.as_slice())
    }

    /// Adds the forms that can be decoded from a view, or from the text itself, whose classes are in the room.
    fn derive(
        &mut self,
        parent: Option<usize>,
        shape: &Shape,
        room: &mut Room,
        budget: &mut usize,
    ) -> Result<(), TooComplex> {
        let (text, depth) = (self.bytes(parent), parent.map_or(0, |index| self.views[index].depth()));
        if depth == MAX_DEPTH {
            return Ok(());
        }
        let child = || View::of(parent, depth + 1);
        let mut views = Vec::new();
        if parent.is_none() {
            views.extend(decode::joined(text, shape, &child));
        }
        decode::views(text, &room.classes, &mut room.printable, &child, &mut views);
        let size = views.iter().map(|view| view.bytes.len()).sum();
        *budget = budget.checked_sub(size).ok_or(TooComplex)?;
        self.views.append(&mut views);
        Ok(())
    }

    /// Runs the detectors over a view, or over the text itself.
    fn look(&mut self, view: Option<usize>, classes: &Classes, squeezed: &mut Squeezed) {
        let Self { detectors, text, offset, enabled, views, found } = self;
        let bytes = view.map_or(*text, |index| views[index].bytes.as_slice());
        let mut add = |detector: Detector, span: Range<usize>, value: &[u8], disguise| {
            let (span, mut via) = match view {
                None => (span, Vec::new()),
                Some(index) => trace(views, text, index, span),
            };
            via.extend(disguise);
            let span = *offset + span.start as u64..*offset + span.end as u64;
            found.push(Finding { detector, span, via, digest: detectors.digest(value) });
        };
        if enabled.token_patterns {
            detectors.rules.find(bytes, &mut |hit| {
                add(Detector::TokenPattern(hit.rule), hit.span.clone(), &bytes[hit.span], None);
            });
        }
        detectors.known.find(bytes, &classes.alphanumeric, squeezed, &mut |hit| {
            if enabled.known_secrets || hit.detector == Detector::Canary {
                let value = detectors.known.value(hit.secret).expose().as_bytes();
                add(hit.detector, hit.span, value, hit.disguise);
            }
        });
        if enabled.entropy && view.is_none() {
            entropy::find(bytes, &classes.base64, &mut |span| {
                add(Detector::Entropy, span.clone(), &bytes[span], None);
            });
        }
    }
}

/// One finding for each place: the one of the most certain detector, by the shortest way.
fn one_each(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| (rank(&finding.detector), finding.via.len(), finding.span.start));
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len().min(16));
    for finding in found {
        let is_overlapped =
            |other: &Finding| other.span.start < finding.span.end && finding.span.start < other.span.end;
        if !kept.iter().any(is_overlapped) {
            kept.push(finding);
        }
    }
    kept.sort_by_key(|finding| finding.span.start);
    kept
}

fn rank(detector: &Detector) -> u8 {
    match detector {
        Detector::Canary => 0,
        Detector::KnownSecret(_) => 1,
        Detector::TokenPattern(_) => 2,
        Detector::Entropy => 3,
    }
}
