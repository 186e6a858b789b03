//! The bottle's only git door: it mirrors, scans every new object, judges every ref, and forwards. It holds the git keys
//! that the agent never sees.
//!
//! ```text
//! agent ── smart HTTP, http://gitgate:9420/NAME ──▶ gate ── fetch, push: SSH or HTTPS ──▶ upstream
//!                                                     │
//!             receive-pack ─▶ quarantine ─▶ judge: refs, objects, workflows ─▶ push upstream ─▶ mirror
//! ```
//!
//! Nothing that the agent sent is kept, and nothing goes upstream, before [`judge`] has let all of it through. What a
//! mirror holds came from upstream or was taken by it.

pub mod commands;
pub mod config;
pub mod deploy_keys;
pub mod git;
pub mod helper;
pub mod http;
pub mod judge;
pub mod judging;
pub mod live;
pub mod object;
pub mod pktline;
pub mod progress;
pub mod push;
pub mod reference;
pub mod sidecar;
pub mod upstream;

mod body;
mod child;
mod fetching;
mod forward;
mod gate;
mod mirror;
mod receiving;
mod record;
mod trust;

pub use config::Config;
pub use gate::{GitGate, build};
