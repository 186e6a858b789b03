//! What a launcher and the first process inside a bottle say to each other, and the channel they say it over.
//!
//! This crate is linked into that first process, so it depends on next to nothing.

pub mod channel;
pub mod order;
pub mod probe;

pub use channel::{Channel, ChannelError};
