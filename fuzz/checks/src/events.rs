//! Event streams, cut anywhere.

use scan::sse::{OVERLAP, Part, Splitter};

use crate::cut::Pieces;

/// A stream, behind three bytes for how it is cut.
pub fn check(data: &[u8]) {
    let whole = Pieces::of(data).whole();
    let (at_once, cut) = (split(&mut std::iter::once(whole)), split(&mut Pieces::of(data)));
    for events in [&at_once, &cut] {
        let joined: Vec<u8> = events.iter().flat_map(|event| event.raw.iter().copied()).collect();
        assert!(joined == whole, "the events are the stream");
        assert!(events.iter().all(|event| event.raw.len() <= 2 * OVERLAP), "larger than the bound");
    }
    let texts = |events: &[Seen]| -> Vec<Vec<u8>> {
        events.iter().filter(|event| event.part == Part::Whole).map(|event| event.text.clone()).collect()
    };
    // The line feed of a torn CRLF may come as an event of its own, which says nothing.
    let spoken = |texts: Vec<Vec<u8>>| texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    assert_eq!(spoken(texts(&at_once)), spoken(texts(&cut)), "how a stream is cut changes what it says");
}

#[derive(Debug)]
struct Seen {
    raw: Vec<u8>,
    text: Vec<u8>,
    part: Part,
}

fn split(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Seen> {
    let mut splitter = Splitter::new(0);
    let mut seen = Vec::new();
    let keep = |event: scan::sse::Event<'_>| Seen {
        raw: event.raw.to_vec(),
        text: event.text.to_vec(),
        part: event.part,
    };
    for piece in pieces {
        splitter.push(piece);
        while let Some(event) = splitter.event() {
            seen.push(keep(event));
        }
    }
    seen.extend(splitter.finish().map(keep));
    seen
}
