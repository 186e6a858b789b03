//! The door: a bottle's MCP server (S1, S3), through which an agent asks for what was refused.
//!
//! ```text
//! agent ── MCP, http://supervise:9100/ ──▶ door ── proposal.new.<bottle> ──▶ supervisor ──▶ operators
//!       ◀─ allowed now, rejected, pending ──    ◀─ proposal.resolved.<bottle> ──
//! ```
//!
//! It decides nothing and holds no secret but its identity on the bus, which is that bottle's: whatever breaks it can ask
//! for what the agent can ask for anyway. Everything that comes in is untrusted, and everything has a bound ([`Limits`]).
//!
//! [`Config`] → [`build`] → [`Door::run`] on a [`base::lifecycle::Lifecycle`]; [`sidecar`] does that for the process that
//! the launcher starts.

pub mod config;
pub mod sidecar;

mod answer;
mod asking;
mod call;
mod delta;
mod hang_up;
mod http;
mod link;
mod memory;
mod progress;
mod refusals;
mod routes;
mod server;
mod sessions;
mod tools;
mod words;

use std::sync::Arc;

use base::accept::Listener;
use base::clock::Clock;
use base::lifecycle::Lifecycle;

pub use config::{Config, Limits};

use asking::Asking;
use http::Front;
use refusals::Refusals;
use server::Server;

/// A door that is ready to be opened.
pub struct Door {
    front: Front,
    life: Lifecycle,
}

/// Makes a door. It looks for the bus by itself for as long as it lives, and says so to who asks meanwhile.
#[must_use]
pub fn build(config: Config, life: &Lifecycle) -> Door {
    let Config { bottle, connect, trace, limits } = config;
    let bus = link::keep(connect, trace, life);
    let refusals = Refusals::default();
    life.spawn(refusals::follow(bus.clone(), bottle.clone(), refusals.clone(), life.clone()));
    let asking = Asking::new(bottle, Clock::System, bus, limits);
    let server = Server::new(Arc::new(asking), refusals, limits);
    Door { front: Front::new(server, limits, life), life: life.clone() }
}

impl Door {
    /// Answers on these sockets until the lifecycle stops.
    pub fn run(self, listeners: Vec<impl Into<Listener>>) {
        for listener in listeners.into_iter().map(Into::into) {
            self.life.spawn_essential(self.front.clone().serve(listener, self.life.clone()));
        }
    }
}
