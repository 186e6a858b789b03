//! Turns what happens to pull requests at a forge into runs of agents, and their answers into comments (D1 to D8).
//!
//! ```text
//! forge ── POST /webhook/NAME ──▶ signature, event ── pr.event.<repo>.<number> ──▶ work queue
//!                                                                                   │
//!   bucket `pr_sessions` ◀── compare-and-set ── machine::next ◀── gate, rules ◀─────┘
//!           │                                       ▲
//!           │ bottle.start, by an id that is the same after a crash
//!           ▼                                       │
//!        launcher ── bottle.started, .exited, .failed
//!
//! forge ◀── comment, status ── posting, until the pull request says what its conversation does
//! ```
//!
//! Whatever happens is first stored as the conversation's next state and then done, and is done again by the next
//! dispatcher if this one dies between: a start by its id, a comment by its marker. [`machine`] decides, and does nothing;
//! everything else carries out.
//!
//! [`Config`] → [`build`] → [`Dispatcher::start`] on a [`base::lifecycle::Lifecycle`].

pub mod comment;
pub mod config;
pub mod decide;
pub mod event;
pub mod forge;
pub mod machine;
pub mod prompt;
pub mod secret;
pub mod signature;
pub mod text;
pub mod webhook;

mod asking;
mod busy;
mod ends;
mod posting;
mod registry;
mod runs;
mod service;
mod shared;
mod standing;
mod stopping;
mod work;

pub use config::Config;
pub use service::{Dispatcher, build};
