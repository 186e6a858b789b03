//! The host services together in one process: a private bus unless `NATS_URL` names one, the supervisor, a launcher.

mod lock;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::{BottleMinter, Keys};
use bus::role::Role;
use bus::server::{self, Server, ServerError};
use bus::{Bus, Connect, layout, provision};
use launcher::backend::namespace::Namespace;
use launcher::probe::ProbeReach;
use launcher::{Deps, Launcher, LauncherConfig};

use crate::commands::{doctor, init, list, status};
use crate::context::{self, Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::interrupt::Interrupts;
use crate::output;

pub use lock::{Holder, Lock};

/// How long another command's services may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// How long the services get to finish what is in hand.
const GRACE: Duration = Duration::from_secs(30);

/// What `up` may be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The private bus's port; a free one unless given.
    pub port: Option<u16>,
    /// What the escape probe tries beside its canaries.
    pub probe: ProbeReach,
}

/// The running services.
pub struct Host {
    // Dropped last: the others need the bus to say goodbye.
    life: Lifecycle,
    url: String,
    server: Option<Server>,
    _lock: Lock,
}

impl Host {
    /// Brings up what is missing for a `start`; nothing if the services answer already, or another command is just
    /// bringing them up.
    ///
    /// # Errors
    /// As [`Host::start`]; or somebody else's services do not answer within half a minute.
    pub async fn ensure(context: &Context, options: &Options) -> Result<Option<Self>, Failure> {
        let end = tokio::time::Instant::now() + ANSWER;
        loop {
            let foreign = context::named_bus().is_some() || Lock::holder(&context.home)?.is_some();
            if foreign && status::launcher_is_alive(context).await {
                return Ok(None);
            }
            if let Some(host) = Self::try_start(context, options).await? {
                return Ok(Some(host));
            }
            if tokio::time::Instant::now() > end {
                let error = anyhow!("another process runs the services of this home, and they do not answer");
                return Err(Failure::new(Exit::Unavailable, error));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts everything; returns once all of it answers.
    ///
    /// # Errors
    /// Another process runs the services of this home, something the host must provide is missing, or a service does
    /// not start.
    pub async fn start(context: &Context, options: &Options) -> Result<Self, Failure> {
        Self::try_start(context, options).await?.ok_or_else(|| in_use(context)).or_exit(Exit::TryAgain)
    }

    /// Nothing if another process has the services of this home.
    async fn try_start(context: &Context, options: &Options) -> Result<Option<Self>, Failure> {
        let programs = programs()?;
        init::make(&context.home)?;
        doctor::demand(&LauncherConfig::new(context.home.clone(), programs.clone(), String::new()))?;
        let Some(lock) = Lock::take(&context.home)? else { return Ok(None) };
        let (server, url) = bus(context, options).await?;
        let life = Lifecycle::new();
        let host = Self { life, url, server, _lock: lock };
        match host.start_services(context, options, programs).await {
            Ok(()) => Ok(Some(host)),
            Err(failure) => {
                host.stop().await;
                Err(failure)
            }
        }
    }

    async fn start_services(
        &self,
        context: &Context,
        options: &Options,
        programs: PathBuf,
    ) -> Result<(), Failure> {
        let admin = context::connect(&context.home, &self.url, Role::Admin).await?;
        provision(&admin, &layout::Layout::default())
            .await
            .context("cannot prepare the bus")
            .or_exit(Exit::Unavailable)?;
        let supervisor = supervisor::Config::new(self.identity(context, Role::Supervisor)?);
        let supervisor = supervisor::build(supervisor).await.or_bus()?;
        supervisor.start(&self.life).await.or_bus()?;
        let mut launcher = LauncherConfig::new(context.home.clone(), programs, self.url.clone());
        launcher.targets = options.probe.targets();
        self.start_launcher(context, launcher).await
    }

    async fn start_launcher(&self, context: &Context, config: LauncherConfig) -> Result<(), Failure> {
        let deps = Deps {
            bus: Bus::connect(self.identity(context, Role::Launcher)?).await.or_bus()?,
            minter: BottleMinter::load(&context.home).context("cannot load the key that signs bottles")?,
            backend: Arc::new(Namespace::new(config.namespace())?),
            clock: context.clock.clone(),
            observer: launcher::world::nobody(),
        };
        let (launcher, left) = Launcher::build(config, deps, &self.life).await.or_exit(Exit::Unavailable)?;
        if !left.removed.is_empty() {
            tracing::warn!(bottles = left.removed.len(), "removed what a dead launcher had left");
        }
        launcher.run();
        Ok(())
    }

    fn identity(&self, context: &Context, role: Role) -> Result<Connect, Failure> {
        let keys = Keys::load(&context.home).context("cannot load the keys of the bus")?;
        let credentials =
            keys.mint(role, None).with_context(|| format!("cannot make an identity for the {role}"))?;
        Ok(Connect::new(&self.url, credentials))
    }

    /// Where the bus is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs until a signal, or until something that it cannot live without is lost.
    ///
    /// # Errors
    /// Signals cannot be listened for.
    pub async fn run(self) -> anyhow::Result<Ending> {
        self.life.stop_on_signals().context("cannot listen for signals")?;
        if let Some(server) = &self.server {
            tokio::select! {
                reason = server.lost() => {
                    tracing::error!(reason, "the private bus is lost");
                    self.life.stop();
                    self.finish().await;
                    return Ok(Ending::Failed);
                }
                () = self.life.stopping() => {}
            }
        }
        Ok(self.finish().await)
    }

    /// Stops everything once no bottle runs any more: other commands may have used these services meanwhile. An
    /// interrupt stops them at once; what still runs then goes back to the queue.
    ///
    /// # Errors
    /// Interrupts cannot be listened for.
    pub async fn retire(self, context: &Context) -> Result<(), Failure> {
        let mut interrupts = Interrupts::listen()?;
        let idle = async {
            let mut told = false;
            while busy(context).await {
                if !std::mem::replace(&mut told, true) {
                    output::note("other bottles use these services; interrupt to stop them, too");
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! { () = idle => {}, () = interrupts.next() => {} }
        self.stop().await;
        Ok(())
    }

    /// Stops everything, in reverse.
    pub async fn stop(self) {
        self.life.stop();
        self.finish().await;
    }

    async fn finish(self) -> Ending {
        let ending = self.life.run(GRACE).await;
        if let Some(server) = self.server {
            server.stop().await;
        }
        ending
    }
}

/// What to say to somebody who wants to run services that run already.
#[must_use]
pub fn in_use(context: &Context) -> anyhow::Error {
    anyhow!("the services of {} run already; `bot-bottle down` stops them", context.home.display())
}

/// Whether bottles run, as far as the registry knows.
async fn busy(context: &Context) -> bool {
    let Ok(bus) = context.operator().await else { return false };
    list::records(&bus).await.is_ok_and(|records| records.iter().any(|record| record.state.is_live()))
}

/// The bus: the one that is named, or a private one.
async fn bus(context: &Context, options: &Options) -> Result<(Option<Server>, String), Failure> {
    if let Some(url) = context::named_bus() {
        return Ok((None, url));
    }
    let options = server::Options { port: options.port, ..server::Options::new(&context.home) };
    let server = Server::start(options).await.map_err(|error| {
        let exit = match error {
            ServerError::NotFound { .. } | ServerError::TooOld { .. } => Exit::Prerequisite,
            _ => Exit::Unavailable,
        };
        Failure::new(exit, error)
    })?;
    let url = server.url().to_owned();
    Ok((Some(server), url))
}

/// Where the other programs are: beside this one, or in `../libexec/bot-bottle`.
///
/// # Errors
/// They are in neither place.
pub fn programs() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = own.parent().map(PathBuf::from).unwrap_or_default();
    let places = [beside.clone(), beside.join("../libexec/bot-bottle")];
    let found = places.iter().find(|place| place.join("bot-bottle-egress").exists()).cloned();
    found
        .ok_or_else(|| {
            anyhow!(
                "bot-bottle-egress is neither in {} nor in {}: build with `make build`, or install with `make install`",
                places[0].display(),
                places[1].display()
            )
        })
        .or_exit(Exit::Prerequisite)
}
