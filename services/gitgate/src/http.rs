//! Smart HTTP (gitprotocol-http): which request is answered, and how an answer looks that every git shows.

pub mod route;

mod front;
mod reply;

pub(crate) use front::Front;
pub(crate) use reply::{Outbox, Reply, announcement, complete, empty, error, outbox, streamed};
