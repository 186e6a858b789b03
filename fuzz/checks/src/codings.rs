//! Content codings, well-formed or not, cut anywhere, within their bounds.

use scan::coding::{Bounds, CodingError, Codings, Decoder, Progress};

use crate::cut::{Pieces, byte};

/// Small, so that they are reached.
const BOUNDS: Bounds = Bounds { ratio: 20, bytes: 1 << 20 };

/// A body, behind one byte for its codings and three for how it is cut.
pub fn check(mut data: &[u8]) {
    let lists: [&[u8]; 8] =
        [b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"deflate, zstd", b"br,gzip,zstd", b"identity"];
    let list = lists[usize::from(byte(&mut data)) % lists.len()];
    let codings = Codings::parse([list]).expect("all are known");
    let whole = Pieces::of(data).whole();
    let at_once = undo(&codings, &mut std::iter::once(whole));
    let cut = undo(&codings, &mut Pieces::of(data));
    match (&at_once.ended, &cut.ended) {
        (Ok(()), Ok(())) => assert!(at_once.out == cut.out, "how a body is cut changes what is in it"),
        // A body that arrives at once may be as dense as all of it allows, so that only one of the two goes too far.
        (Err(CodingError::TooDense(_)), _) | (_, Err(CodingError::TooDense(_))) => {}
        (Err(_), Err(_)) => {}
        (one, other) => panic!("how a body is cut decides whether it is valid: {one:?}, {other:?}"),
    }
    let shorter = at_once.out.len().min(cut.out.len());
    assert!(at_once.out[..shorter] == cut.out[..shorter], "what comes first does not depend on what follows");
    assert!(at_once.out.len() as u64 <= BOUNDS.bytes + (64 << 10), "more than the bound");
}

struct Undone {
    out: Vec<u8>,
    ended: Result<(), CodingError>,
}

fn undo(codings: &Codings, pieces: &mut dyn Iterator<Item = &[u8]>) -> Undone {
    let mut out = Vec::new();
    let ended = Decoder::new(codings, BOUNDS).and_then(|mut decoder| {
        for mut piece in pieces {
            while decoder.step(&mut piece, &mut out)? == Progress::More {}
            assert!(piece.is_empty(), "input is left though it asks for more");
        }
        decoder.finish()
    });
    Undone { out, ended }
}
