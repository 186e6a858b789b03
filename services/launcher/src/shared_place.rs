//! Directories that exist for as long as something is in them: whoever ends takes the empty one away, while another makes
//! its own place in it.

use std::io;

/// How often a place is made while others come and go.
const TRIES: usize = 16;

/// Makes a place, and again while what it lies in is taken away.
///
/// # Errors
/// What the last try said.
pub(crate) fn make_in<T>(make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut made = make();
    for _ in 1..TRIES {
        if !made.as_ref().is_err_and(is_taken_away) {
            break;
        }
        made = make();
    }
    made
}

/// The directory above was gone, or it was there when it was to be made and gone when it was looked at.
fn is_taken_away(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}
