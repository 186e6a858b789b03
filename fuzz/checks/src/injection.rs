//! Instructions in bodies, cut anywhere (E10).

use scan::injection::{Confidence, Stream, assess};

use crate::cut::Pieces;

/// A body, behind three bytes for how it is cut.
pub fn check(data: &[u8]) {
    let whole = Pieces::of(data).whole();
    let at_once = assess(whole);
    assert_eq!(at_once, assess(whole), "the same text is judged the same");
    let mut stream = Stream::new();
    let mut left = Vec::new();
    for piece in Pieces::of(data) {
        let before = left.len();
        if stream.push(piece, &mut left).confidence == Confidence::High {
            assert_eq!(left.len(), before, "something left of what is blocked");
        }
        assert_eq!(left, whole[..left.len()], "what leaves is what came");
    }
    stream.release(&mut left);
    if stream.found().confidence < Confidence::High {
        assert_eq!(left, whole, "a body that may pass arrives whole");
    } else {
        assert!(left.len() < whole.len());
    }
}
