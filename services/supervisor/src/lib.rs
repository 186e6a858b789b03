//! The only writer of decisions. It owns the policy revisions of every bottle (E13, invariant 5):
//!
//! ```text
//! operator, launcher ── policy.change ──▶ supervisor ── compare-and-set ──▶ bucket `policy`
//!                                             │
//!                                             ├── policy.changed.<bottle> ──▶ sidecar
//!                                             ◀── policy.running.<bottle> ─── sidecar: runs N, or refuses it
//!                                             │
//! operator, launcher ◀── Running N ───────────┘
//! ```
//!
//! A change is answered only when the sidecar has said what it now runs, or after a deadline. A revision that the
//! sidecar refuses is followed by a new one with the policy that it still runs: numbers are never used twice.
//!
//! A policy is removed when the registry says that its bottle is over, or has forgotten it.
//!
//! It takes what the bottles propose, and operators' signed answers, and applies what they approve as the next
//! revision: see `docs/supervising.md`.
//!
//! All state is in the bucket. Killed at any point, the supervisor leaves at worst a stored revision that was not
//! pushed, or one whose bottle is over: the next one pushes or removes every current revision when it starts, and a
//! sidecar that asks with `policy.get` gets the current one.
//!
//! [`Config`] → [`build`] → [`Supervisor::start`] on a [`base::lifecycle::Lifecycle`].

pub mod audit;
pub mod config;
pub mod door;
pub mod operators;
pub mod revision;

mod changes;
mod gets;
mod over;
mod proposals;
mod running;
mod service;
mod store;

pub use config::Config;
pub use proposals::Limits;
pub use service::{Supervisor, build};
