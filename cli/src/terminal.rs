//! The operator's own terminal at a program in a bottle (L1, L4): keys go there as messages, and what the program shows
//! comes back filtered.

mod answers;
pub mod filter;
mod keyboard;
pub mod keys;
pub mod modes;
mod painter;
mod screen;
mod sequence;
mod session;
mod typist;

#[cfg(test)]
mod tests;

/// What a person reads who has left a bottle; `lost` bytes of what was typed did not reach it.
#[must_use]
pub fn parting(bottle: &str, lost: usize) -> String {
    let lost = match lost {
        0 => String::new(),
        lost => format!("; the last {lost} bytes that were typed may not have reached it"),
    };
    format!("{bottle} goes on; `bot-bottle attach {bottle}` comes back to it{lost}")
}

pub use keys::DetachKey;
pub use session::{Happening, Replay, Session, bytes, here};
pub use typist::{Seat, attach};
