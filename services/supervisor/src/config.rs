//! What a supervisor needs to know.

use std::path::PathBuf;
use std::time::Duration;

use bus::Connect;

/// How long a change waits for its sidecar, unless configured.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Settings of one supervisor.
#[derive(Clone)]
pub struct Config {
    /// The bus, and the supervisor's identity on it.
    pub connect: Connect,
    /// The home, in which the audit trail has its key and its checkpoints.
    pub home: PathBuf,
    /// How long a change waits for its sidecar. Whoever asks should wait longer than that.
    pub confirm_within: Duration,
}

impl Config {
    /// The usual settings.
    #[must_use]
    pub fn new(connect: Connect, home: PathBuf) -> Self {
        Self { connect, home, confirm_within: CONFIRM_WITHIN }
    }
}
