//! What a supervisor needs to know.

use std::time::Duration;

use bus::Connect;
use telemetry::Endpoint;

/// How long a change waits for its sidecar, unless configured.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Settings of one supervisor.
#[derive(Clone)]
pub struct Config {
    /// The bus, and the supervisor's identity on it.
    pub connect: Connect,
    /// How long a change waits for its sidecar. Whoever asks should wait longer than that.
    pub confirm_within: Duration,
    /// Where its spans go (E17); none are made without it.
    pub collector: Option<Endpoint>,
}

impl Config {
    /// The usual settings.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self { connect, confirm_within: CONFIRM_WITHIN, collector: None }
    }
}
