//! The bottle's only HTTP(S) door: it matches, injects, forwards and records, and holds the secrets that the agent
//! never sees.
//!
//! A connection passes through named stages, each in its own module:
//!
//! ```text
//! proxy::accept → serve → identify → forward: normalise → match → inject → dial → forward → record
//!                   │                         normal      policy   inject   dial    pool     record → keeper → bus
//!                   └ tunnel, TLS, WebSocket                                address connection        └ spool
//! ```
//!
//! Each returns a [`Refusal`] if the request ends there; `session` alone turns one into a reply. `docs/egress.md`
//! says what clients see.

pub mod address;
pub mod config;
pub mod framing;
pub mod live;
pub mod passthrough;
pub mod sidecar;
pub mod websocket;

mod body;
mod ca;
mod coded;
mod connection;
mod contents;
mod dial;
mod forward;
mod gateway;
mod headers;
mod identify;
mod incoming;
mod inject;
mod inspect;
mod journal;
mod keeper;
mod local;
mod metrics;
mod normal;
mod own;
mod patience;
mod pool;
mod proxy;
mod record;
mod refusal;
mod reply;
mod running;
mod scrub;
mod serve;
mod session;
mod socket;
mod span;
mod spool;
mod stall;
mod timer;
mod trust;
mod uplink;
mod wire;

pub use config::Config;
pub use keeper::Destination;
pub use proxy::{Policies, Proxy, build};
pub use refusal::Refusal;
pub use running::InvalidPolicy;
pub use spool::Parcel;
