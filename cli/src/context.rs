//! What every command needs: the home, the time, and a way to the bus.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::clock::Clock;
use bus::keys::{Keys, KeysError};
use bus::role::Role;
use bus::{Bus, BusError, Connect};

use crate::exit::{Exit, Failure, OrExit as _};

/// How long a command waits for the bus.
const BUS_DEADLINE: Duration = Duration::from_secs(5);
/// How long an operator's identity is good for: one command, however long it follows.
const OPERATOR_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The surroundings of a command.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where bottles, agents, keys and state live.
    pub home: PathBuf,
    /// The time.
    pub clock: Clock,
}

impl Context {
    /// With this home, or `~/.bot-bottle`.
    ///
    /// # Errors
    /// No home was given and `HOME` is not set.
    pub fn new(home: Option<PathBuf>) -> Result<Self, Failure> {
        let home = match home {
            Some(home) => std::path::absolute(home).context("cannot use this home")?,
            None => std::env::home_dir()
                .filter(|home| home.is_absolute())
                .ok_or_else(|| anyhow!("HOME is not set; set it, or name a home with --home"))
                .or_exit(Exit::Usage)?
                .join(".bot-bottle"),
        };
        Ok(Self { home, clock: Clock::System })
    }

    /// Where the bus is: `NATS_URL`, or the private one that runs for this home.
    ///
    /// # Errors
    /// The record of the private bus cannot be read.
    pub fn bus_url(&self) -> Result<Option<String>, Failure> {
        if let Some(url) = named_bus() {
            return Ok(Some(url));
        }
        let server = bus::server::find(&self.home).context("cannot find the private bus")?;
        Ok(server.map(|server| server.url))
    }

    /// A connection to the bus as the operator.
    ///
    /// # Errors
    /// No bus runs or answers, or there are no keys.
    pub async fn operator(&self) -> Result<Bus, Failure> {
        let url = self
            .bus_url()?
            .ok_or_else(|| {
                let home = self.home.display();
                anyhow!(
                    "nothing runs for {home}, and so nobody can be asked: `bot-bottle start AGENT` brings up what it \
                     needs by itself, `bot-bottle up` runs the services until they are stopped"
                )
            })
            .or_exit(Exit::Unavailable)?;
        connect(&self.home, &url, Role::Operator).await
    }
}

/// The bus that the environment names, if it names one.
#[must_use]
pub fn named_bus() -> Option<String> {
    std::env::var("NATS_URL").ok().filter(|url| !url.is_empty())
}

/// A connection in a role, with an identity made for it from the home's keys.
///
/// # Errors
/// There are no keys, or the bus does not answer.
pub async fn connect(home: &Path, url: &str, role: Role) -> Result<Bus, Failure> {
    let keys = Keys::load(home).map_err(no_keys)?;
    let credentials = keys.mint(role, Some(OPERATOR_TTL)).context("cannot make an identity")?;
    let connect = Connect { deadline: BUS_DEADLINE, ..Connect::new(url, credentials) };
    Bus::connect(connect).await.or_bus()
}

/// A failure to load keys, with its exit code.
pub(crate) fn no_keys(error: KeysError) -> Failure {
    let exit = if matches!(error, KeysError::Missing { .. }) { Exit::NotFound } else { Exit::Internal };
    Failure::new(exit, error)
}

/// Gives an error of the bus its exit code.
pub trait OrBus<T> {
    /// The value, or a failure that says what kind of trouble the bus has.
    ///
    /// # Errors
    /// The error, with its code.
    fn or_bus(self) -> Result<T, Failure>;
}

impl<T> OrBus<T> for Result<T, BusError> {
    fn or_bus(self) -> Result<T, Failure> {
        self.map_err(|error| {
            let exit = match &error {
                BusError::Unreachable { .. }
                | BusError::Unauthorized { .. }
                | BusError::TooOld { .. }
                | BusError::Deadline { .. }
                | BusError::NoResponders { .. }
                | BusError::Closed { .. } => Exit::Unavailable,
                BusError::Conflict { .. } => Exit::TryAgain,
                _ => Exit::Internal,
            };
            Failure::new(exit, error)
        })
    }
}
