//! Turns a start request into a running bottle and back into nothing.
//!
//! [`service::Launcher`] takes requests from the work queue; each becomes a [`plan::Plan`], and the steps of
//! [`step::Step`] make of it a boundary with sidecars, run the agent's program in it, and put everything away. What
//! isolates a bottle is behind [`backend::Backend`]. The launcher never interprets what an agent wrote.

pub mod backend;
pub mod backends;
mod canary;
pub mod client;
mod commit;
pub mod config;
mod disk;
mod door;
mod egress;
pub mod environment;
mod gitgate;
mod hold;
pub mod host;
pub mod identity;
pub mod image;
mod launch;
pub mod limits;
mod metrics;
mod output;
pub mod plan;
pub mod prerequisite;
pub mod probe;
mod reach;
pub mod reconcile;
mod record;
mod records;
pub mod service;
pub mod session;
mod shared_place;
mod sidecar;
mod sidecars;
pub mod state;
pub mod step;
mod sys;
mod terminal;
pub mod token;
mod tools;
mod trash;
mod uplink;
pub mod workspace;
pub mod world;

pub use config::LauncherConfig;
pub use service::{BuildError, Launcher};
pub use world::{Deps, Observer};
