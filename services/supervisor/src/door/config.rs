//! What a door is told before it opens.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base::id::Slug;
use bus::{Connect, Credentials, Trace};
use handover::sidecar::DoorHandover;

/// A door's settings.
#[derive(Clone)]
pub struct Config {
    /// The bottle it serves.
    pub bottle: Slug,
    /// The bus, as that bottle.
    pub connect: Connect,
    /// What the messages are part of.
    pub trace: Trace,
    /// What the bottle may demand of it.
    pub limits: Limits,
}

/// What a bottle may demand of its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// MCP sessions at once; beyond it, the one that was silent longest is closed.
    pub sessions: usize,
    /// Tool calls at once; further ones are refused.
    pub calls: usize,
    /// Bytes of one request.
    pub body_bytes: usize,
    /// How long a request may take to arrive, and a connection may be silent between two.
    pub arrival: Duration,
    /// Proposals that are made in a minute, equal ones too; further ones are refused.
    pub proposals_a_minute: usize,
    /// How long a call waits for a person unless it says otherwise.
    pub wait: Duration,
    /// How long a call waits for a person at most.
    pub longest_wait: Duration,
    /// How often a call that waits tells its progress.
    pub progress: Duration,
    /// How long the bus and the supervisor may take.
    pub bus: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            sessions: 32,
            calls: 32,
            body_bytes: 256 << 10,
            arrival: Duration::from_secs(15),
            proposals_a_minute: 60,
            // Many clients give a call up after a minute.
            wait: Duration::from_secs(50),
            longest_wait: Duration::from_secs(300),
            progress: Duration::from_secs(5),
            bus: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The settings that the launcher has handed over, with the default limits.
    ///
    /// # Errors
    /// The version is unknown, or the bus identity is none, or another bottle's.
    pub fn from_handover(handover: DoorHandover) -> anyhow::Result<Self> {
        let DoorHandover { v, bottle, bus, trace } = handover;
        if v != 1 {
            bail!("this door knows version 1 of the hand-over, not {v}: install programs of one release");
        }
        let credentials = Credentials::new(bus.jwt, bus.seed).context("reading the bus credentials")?;
        if credentials.name() != bottle.as_str() {
            bail!("the bus credentials are those of {}, and the bottle is {bottle}", credentials.name());
        }
        let trace = match trace {
            Some(trace) => trace.context.parse().context("reading the bottle's trace")?,
            None => Trace::random(),
        };
        Ok(Self { bottle, connect: Connect::new(bus.url, credentials), trace, limits: Limits::default() })
    }
}
