//! What every part of bot-bottle needs and none should write twice: identifiers that were checked once,
//! secrets that cannot be printed, text made inert, one clock, one lifecycle, one way to print an error.

pub mod accept;
pub mod bell;
pub mod clock;
pub mod error;
pub mod id;
pub mod inert;
pub mod lifecycle;
pub mod lock;
pub mod logging;
pub mod secret;

pub use inert::inert;
pub use secret::Secret;
