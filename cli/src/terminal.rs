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

pub use keys::DetachKey;
pub use session::{Happening, Replay, Session, bytes, here};
pub use typist::{Seat, attach};
