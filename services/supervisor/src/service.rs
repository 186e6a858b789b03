//! The service: built from its configuration, started on a lifecycle.

use std::path::PathBuf;
use std::time::Duration;

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::layout::BOTTLES;
use bus::message::Message as _;
use bus::message::revision::{PolicyChange, PolicyGet, PolicyRunning};
use bus::{Bus, BusError};
use telemetry::{Endpoint, Tracer};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, AuditError, Place};
use crate::changes::Changes;
use crate::config::Config;
use crate::proposals::{Limits, Proposals};
use crate::{gets, over, running};

/// A supervisor that is connected and not yet answering.
pub struct Supervisor {
    bus: Bus,
    home: PathBuf,
    confirm_within: Duration,
    limits: Limits,
    collector: Option<Endpoint>,
}

/// Connects to the bus.
///
/// # Errors
/// As [`Bus::connect`].
pub async fn build(config: Config) -> Result<Supervisor, BusError> {
    let bus = Bus::connect(config.connect).await?;
    let Config { home, confirm_within, limits, collector, .. } = config;
    Ok(Supervisor { bus, home, confirm_within, limits, collector })
}

/// How many words of sidecars may wait for a change that is slow to read them.
const WORDS: usize = 1024;

impl Supervisor {
    /// Starts answering, as tasks of `life`; returns when it does. If one of the tasks ends, the lifecycle fails.
    ///
    /// # Errors
    /// The bus does not let it listen, its bucket cannot be read, or the audit trail cannot be gone on with.
    pub async fn start(self, life: &Lifecycle) -> Result<(), BusError> {
        let bus = self.bus;
        audit::start(&bus, Place::of(&self.home), Clock::System, life).await.map_err(
            |error| match error {
                AuditError::Bus(error) => error,
                other => {
                    BusError::Client { doing: "going on with the audit trail".into(), source: other.into() }
                }
            },
        )?;
        let gets = bus.subscribe::<PolicyGet>(PolicyGet::PATTERN).await?;
        let said = bus.subscribe::<PolicyRunning>(PolicyRunning::PATTERN).await?;
        let asked = bus.subscribe::<PolicyChange>(PolicyChange::PATTERN).await?;
        let heard = broadcast::Sender::new(WORDS);
        let changes = Changes {
            bus: bus.clone(),
            heard: heard.clone(),
            confirm_within: self.confirm_within,
            tracer: Tracer::start(self.collector, "bot-bottle-supervisor", Clock::System, life),
            life: life.clone(),
        };
        let proposals = Proposals::load(&bus, &changes, self.home, self.limits, life).await?;
        // Changes in hand at a stop still need the sidecars' words, so the others end after the first.
        let drained = CancellationToken::new();
        let guard = drained.clone().drop_guard();
        life.spawn_essential(async move {
            changes.serve(asked).await;
            drop(guard);
        });
        let (open, of_gets) = (drained.clone(), gets::serve(bus.clone(), gets));
        life.spawn_essential(async move { open.run_until_cancelled(of_gets).await.unwrap_or(()) });
        let (open, of_said) = (drained.clone(), running::serve(bus.clone(), said, heard));
        life.spawn_essential(async move { open.run_until_cancelled(of_said).await.unwrap_or(()) });
        let ends = bus.bucket(&BOTTLES).watch_new().await?;
        let of_ends = Box::pin(over::serve(bus.clone(), ends, proposals.clone()));
        life.spawn_essential(async move { drained.run_until_cancelled(of_ends).await.unwrap_or(()) });
        over::settle(&bus).await?;
        proposals.start().await
    }
}
