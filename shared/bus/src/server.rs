//! The private `nats-server` of one machine: on loopback only, JetStream syncing every write, JWT identities, nothing
//! readable by others. All its files are under `<home>/bus/`:
//!
//! | file | what |
//! |---|---|
//! | `keys/` | see [`crate::keys`] |
//! | `nats.conf`, `accounts.conf` | written anew at each start |
//! | `store/` | the streams |
//! | `server.log` | the server's log |
//! | `server.json` | where it is, while it runs ([`find`]) |
//! | `server.lock` | held by its owner |
//!
//! A server that dies is started again on the same port, up to [`RESTARTS`] times in [`RESTART_WINDOW`]; then it is
//! given up, and [`Server::lost`] completes. It dies with the process that owns it.

mod binary;
mod config;
mod keeper;
mod ready;
mod record;
mod sys;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use binary::{installed, is_recent};
pub use record::{Running, find};

use crate::keys::{Keys, KeysError};
use keeper::{Keeper, State};

/// The oldest `nats-server` that is accepted: those before can lose acknowledged messages.
pub const OLDEST: &str = "2.11.0";
/// How often a server that dies is started again within [`RESTART_WINDOW`].
pub const RESTARTS: usize = 5;
/// See [`RESTARTS`].
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another process has it.
    #[error("the bus under {} is run by another process: use it, or stop it with `bot-bottle down`", home.display())]
    InUse {
        /// The home.
        home: PathBuf,
    },
    /// There is no `nats-server`.
    #[error(
        "nats-server is not installed (looked in {looked}): run `deploy/tools/fetch`, or name it in BOT_BOTTLE_NATS_SERVER"
    )]
    NotFound {
        /// Where it was looked for.
        looked: String,
    },
    /// It is too old.
    #[error("{} says {found:?}: nats-server {OLDEST} or newer is needed; run `deploy/tools/fetch`", path.display())]
    TooOld {
        /// Which.
        path: PathBuf,
        /// Its version, or what it said instead.
        found: String,
    },
    /// No identities.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A file under the home.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It did not come up.
    #[error("nats-server did not come up within {within:?}: {reason}")]
    NotReady {
        /// How long it was given.
        within: Duration,
        /// What it said.
        reason: String,
    },
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The home; keys must be there ([`Keys::init`]).
    pub home: PathBuf,
    /// The port on 127.0.0.1; any free one unless given.
    pub port: Option<u16>,
    /// The program; looked for unless given.
    pub binary: Option<PathBuf>,
}

impl Options {
    /// Any free port, and the `nats-server` that is found.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), port: None, binary: None }
    }
}

/// A running server and its owner. Dropping it kills the server; [`Server::stop`] is the gentle way.
pub struct Server {
    keeper: Keeper,
    url: String,
}

impl Server {
    /// Starts the server and waits until it answers. What another owner left behind when it was killed is ended first.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn start(options: Options) -> Result<Self, ServerError> {
        let work = move || {
            let binary = binary::resolve(options.binary.as_deref())?;
            let keys = Keys::load(&options.home)?;
            let lock = record::lock(&options.home)?;
            record::end_leftover(&options.home)?;
            Keeper::start(&options.home, binary, options.port, &keys, lock)
        };
        // Everything in there is short but for waiting for the server, which has a deadline.
        let keeper = match tokio::task::spawn_blocking(work).await {
            Ok(keeper) => keeper?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let url = keeper.url();
        Ok(Self { keeper, url })
    }

    /// Where it listens; the same for its whole life.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's current process; none between a death and the next start.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &*self.keeper.state().borrow() {
            State::Running { pid } => Some(*pid),
            State::Starting | State::Ended { .. } => None,
        }
    }

    /// Completes when the server died too often and was given up, with the reason.
    pub async fn lost(&self) -> String {
        let mut state = self.keeper.state();
        let ended = state.wait_for(|state| matches!(state, State::Ended { .. })).await;
        match ended.as_deref() {
            Ok(State::Ended { reason }) => reason.clone(),
            _ => "its keeper ended".to_owned(),
        }
    }

    /// Stops it: gently, and after ten seconds by force.
    pub async fn stop(self) {
        let mut state = self.keeper.state();
        self.keeper.ask_to_stop();
        let ended = state.wait_for(|state| matches!(state, State::Ended { .. }));
        if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
            tracing::warn!("nats-server did not stop by itself");
        }
        // Dropping the keeper kills what is still there, and removes its record.
    }
}

const STOP_GRACE: Duration = Duration::from_secs(10);
