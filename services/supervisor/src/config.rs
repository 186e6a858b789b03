//! What a supervisor needs to know.

use std::path::PathBuf;
use std::time::Duration;

use bus::Connect;
use telemetry::Endpoint;

use crate::proposals::Limits;

/// How long a change waits for its sidecar, unless configured.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// Settings of one supervisor.
#[derive(Clone)]
pub struct Config {
    /// The bus, and the supervisor's identity on it.
    pub connect: Connect,
    /// The home: of the audit trail's key and checkpoints, the list of operators, and the grants that are kept.
    pub home: PathBuf,
    /// How long a change waits for its sidecar. Whoever asks should wait longer than that.
    pub confirm_within: Duration,
    /// How much a bottle may ask, and how long a proposal waits.
    pub limits: Limits,
    /// Where its spans go (E17); none are made without it.
    pub collector: Option<Endpoint>,
}

impl Config {
    /// The usual settings.
    #[must_use]
    pub fn new(connect: Connect, home: PathBuf) -> Self {
        Self { connect, home, confirm_within: CONFIRM_WITHIN, limits: Limits::default(), collector: None }
    }
}
