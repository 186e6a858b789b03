//! The launcher as a service: takes start requests, answers stop requests, says that it lives.

mod claim;
mod committing;
mod hearing;
mod heartbeat;
mod job;
mod late;
mod records;
mod stopping;
mod typing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::id::{LauncherId, RequestId, Slug};
use base::lifecycle::Lifecycle;
use bus::BusError;
use bus::message::start::StartRequest;
use telemetry::{Tracer, UnusableEndpoint};
use tokio::sync::{Semaphore, mpsc};

use crate::commit::Desk;
use crate::config::{InvalidConfig, LauncherConfig};
use crate::identity::{IdentityError, OwnHome};
use crate::launch::Stop;
use crate::reconcile::{ReconcileError, Reconciled, reconcile};
use crate::terminal::Terminals;
use crate::world::{Deps, World};

/// Why a launcher does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The collector of spans cannot be used.
    #[error(transparent)]
    Collector(#[from] UnusableEndpoint),
    /// The home cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What an earlier launcher left cannot be removed.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// The bus cannot be used.
    #[error("the launcher cannot use the bus")]
    Bus(#[from] BusError),
}

/// A launcher that is ready to run.
pub struct Launcher {
    shared: Arc<Shared>,
    queue: bus::WorkQueue<StartRequest>,
    stops: bus::Subscription<bus::message::start::StopRequest>,
    typed: bus::Subscription<bus::message::terminal::TerminalRequest>,
    commits: bus::Subscription<bus::message::commit::CommitRequest>,
}

/// What its tasks share.
struct Shared {
    world: World,
    running: Mutex<HashMap<Slug, Runs>>,
    incarnation: String,
    life: Lifecycle,
}

/// One bottle that this process runs.
struct Runs {
    request: RequestId,
    stop: mpsc::Sender<Stop>,
    commits: Arc<Desk>,
}

impl Launcher {
    /// Takes the home, removes what earlier launchers left in it, and subscribes; nothing is started yet.
    ///
    /// # Errors
    /// [`BuildError`]
    pub async fn build(
        config: LauncherConfig,
        deps: Deps,
        life: &Lifecycle,
    ) -> Result<(Self, Reconciled), BuildError> {
        config.check()?;
        let collector = config.collector()?;
        let home = OwnHome::take(&config.home)?;
        let Deps { bus, minter, backends, clock, observer } = deps;
        let done = reconcile(&home, &config, &backends, Some((&bus, &clock))).await?;
        let queue = bus.work_queue(&bus::layout::LAUNCHERS).await?;
        let stops = bus.subscribe("bottle.stop.*").await?;
        let tracer = Tracer::start(collector, "bot-bottle-launcher", clock.clone(), life);
        let typed = bus.subscribe("bottle.terminal.*").await?;
        let commits = bus.subscribe("bottle.commit.*").await?;
        let terminals = Terminals::default();
        let world = World { config, bus, minter, backends, clock, observer, tracer, terminals, home };
        let shared = Shared {
            world,
            running: Mutex::default(),
            incarnation: LauncherId::random().to_string(),
            life: life.clone(),
        };
        Ok((Self { shared: Arc::new(shared), queue, stops, typed, commits }, done))
    }

    /// Who it is on the bus.
    #[must_use]
    pub fn id(&self) -> &LauncherId {
        self.shared.world.id()
    }

    /// Starts serving; ends with the lifecycle it was built with. At a stop every bottle is ended and its request
    /// goes back to the queue.
    pub fn run(self) {
        let Self { shared, queue, stops, typed, commits } = self;
        let life = shared.life.clone();
        life.spawn_essential(heartbeat::beat(shared.clone()));
        life.spawn_essential(stopping::answer(shared.clone(), stops));
        life.spawn_essential(typing::answer(shared.clone(), typed));
        life.spawn_essential(committing::answer(shared.clone(), commits));
        life.spawn(late::look(shared.clone()));
        life.spawn_essential(records::carry(shared.clone()));
        life.spawn_essential(take(shared, queue));
    }
}

/// Takes requests, one for each free place.
async fn take(shared: Arc<Shared>, mut queue: bus::WorkQueue<StartRequest>) {
    let places = Arc::new(Semaphore::new(shared.world.config.concurrency));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let job = tokio::select! {
            biased;
            () = shared.life.stopping() => break,
            job = queue.next() => job,
        };
        match job {
            Ok(job) => {
                let working = shared.clone();
                shared.life.spawn(async move {
                    job::work(&working, job).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(error = base::error::chain(&error), "start requests can no longer be taken");
                return;
            }
        }
    }
    if let Err(error) = queue.close().await {
        tracing::warn!(error = base::error::chain(&error), "a request on its way here comes back later");
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Slug, Runs>> {
        // Each change is one insertion or removal.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self, request: &RequestId) -> bool {
        self.running().values().any(|runs| &runs.request == request)
    }
}
