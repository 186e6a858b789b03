//! The host services together in one process: a private bus unless `NATS_URL` names one, the supervisor, a launcher, and
//! with a `dispatch.yaml` the dispatcher.

mod lock;
mod notify;
mod process;
mod services;
mod users;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::id::LauncherId;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::{BottleMinter, Keys};
use bus::role::Role;
use bus::server::{self, Server, ServerError};
use bus::{Bus, BusError, Connect, layout, provision};
use launcher::backends::Backends;
use launcher::probe::ProbeReach;
use launcher::{Deps, Launcher, LauncherConfig};
use manifest::{DispatchFile, Home, Settings};

use crate::commands::{doctor, init, list};
use crate::context::{self, Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::interrupt::Interrupts;
use crate::output;

pub use lock::{Holder, Lock, Purpose};
pub use process::Process;
pub use services::Services;
pub use users::{Alone, User};

const POLL: Duration = Duration::from_millis(20);
/// After this long, a person is told what a command waits for.
const PATIENCE: Duration = Duration::from_secs(1);
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
    // Apart, since a launcher needs the supervisor to its own end, and what the dispatcher takes needs both.
    dispatcher: Lifecycle,
    webhooks: Option<SocketAddr>,
    launcher: Lifecycle,
    supervisor: Lifecycle,
    launcher_id: Option<LauncherId>,
    url: String,
    server: Option<Server>,
    _lock: Lock,
}

impl Host {
    /// Starts everything, which ends at a signal from then on; returns once all of it answers.
    ///
    /// # Errors
    /// Another process runs the services of this home, something the host must provide is missing, or a service does
    /// not start.
    pub async fn start(context: &Context, options: &Options) -> Result<Self, Failure> {
        init::make(&context.home)?;
        Self::try_start(context, options, Purpose::Up)
            .await?
            .ok_or_else(|| in_use(context))
            .or_exit(Exit::TryAgain)
    }

    /// Nothing if another process has the services of this home.
    async fn try_start(
        context: &Context,
        options: &Options,
        purpose: Purpose,
    ) -> Result<Option<Self>, Failure> {
        let home = Home::at(context.home.clone());
        let settings = Settings::load(&home).or_exit(Exit::Input)?;
        // Webhooks are taken by services that stay.
        let dispatch = match purpose {
            Purpose::Up => DispatchFile::load(&home).or_exit(Exit::Input)?,
            Purpose::Start => None,
        };
        doctor::demand(&LauncherConfig::new(context.home.clone(), programs()?, String::new()))?;
        let Some(lock) = Lock::take(&context.home, purpose)? else { return Ok(None) };
        let (server, url) = bus(context, options).await?;
        let (launcher, supervisor) = (Lifecycle::new(), Lifecycle::new());
        let dispatcher = Lifecycle::new();
        let mut host = Self {
            dispatcher,
            webhooks: None,
            launcher,
            supervisor,
            launcher_id: None,
            url,
            server,
            _lock: lock,
        };
        if purpose == Purpose::Up {
            // Before a bottle runs: a signal that only kills would take it with it.
            host.launcher.stop_on_signals().context("cannot listen for signals")?;
        }
        let started = async {
            host.start_services(context, options, settings).await?;
            match dispatch {
                Some(file) => host.start_dispatcher(context, file).await,
                None => Ok(()),
            }
        };
        match Box::pin(started).await {
            Ok(()) => Ok(Some(host)),
            Err(failure) => {
                host.stop().await;
                Err(failure)
            }
        }
    }

    async fn start_services(
        &mut self,
        context: &Context,
        options: &Options,
        settings: Settings,
    ) -> Result<(), Failure> {
        let admin = context::connect(&context.home, &self.url, Role::Admin).await?;
        provision(&admin, &layout::Layout::default())
            .await
            .context("cannot prepare the bus")
            .or_exit(Exit::Unavailable)?;
        let mut supervisor =
            supervisor::Config::new(self.identity(context, Role::Supervisor)?, context.home.clone());
        supervisor.limits = settings.proposals.into();
        supervisor.collector = telemetry::Endpoint::of_process().or_exit(Exit::Input)?;
        let supervisor = supervisor::build(supervisor).await.or_bus()?;
        supervisor.start(&self.supervisor).await.or_bus()?;
        if !settings.notify.is_empty() {
            let operator = Bus::connect(self.identity(context, Role::Operator)?).await.or_bus()?;
            notify::start(settings.notify.clone(), &operator, &self.supervisor).await.or_bus()?;
        }
        let launcher = LauncherConfig::new(context.home.clone(), programs()?, self.url.clone());
        let mut launcher = launcher.with(&settings);
        launcher.targets = options.probe.targets();
        self.start_launcher(context, launcher).await
    }

    async fn start_dispatcher(&mut self, context: &Context, file: DispatchFile) -> Result<(), Failure> {
        let connect = self.identity(context, Role::Dispatcher)?;
        let config = dispatcher::Config::new(connect, file, |name| std::env::var(name).ok());
        let mut config = config.context("the dispatcher cannot start").or_exit(Exit::Input)?;
        config.collector = telemetry::Endpoint::of_process().or_exit(Exit::Input)?;
        let dispatcher = dispatcher::build(config).await.or_exit(Exit::Unavailable)?;
        self.webhooks = dispatcher.address().ok();
        dispatcher.start(&self.dispatcher).await.or_bus()
    }

    async fn start_launcher(&mut self, context: &Context, config: LauncherConfig) -> Result<(), Failure> {
        let bus = Bus::connect(self.identity(context, Role::Launcher)?).await.or_bus()?;
        let deps = Deps {
            bus: bus.clone(),
            minter: BottleMinter::load(&context.home).context("cannot load the key that signs bottles")?,
            backends: Backends::of(&config)?,
            clock: context.clock.clone(),
            observer: launcher::world::nobody(),
        };
        let (launcher, left) =
            Launcher::build(config, deps, &self.launcher).await.or_exit(Exit::Unavailable)?;
        if !left.removed.is_empty() {
            tracing::warn!(bottles = left.removed.len(), "removed what a dead launcher had left");
        }
        let id = launcher.id().clone();
        let begun = context.clock.now();
        launcher.run();
        // Whoever looks from now on finds it.
        let beats = bus.bucket(&layout::LAUNCHER_BEATS);
        let lives = async {
            while beats.get(id.as_str()).await?.is_none_or(|beat| beat.value.at < begun) {
                tokio::time::sleep(POLL).await;
            }
            Ok::<_, BusError>(())
        };
        let lives = tokio::select! {
            lives = tokio::time::timeout(GRACE, lives) => lives,
            () = self.launcher.stopping() => {
                let error = anyhow!("the launcher was stopped, or has failed, before it was ready");
                return Err(Failure::new(Exit::Unavailable, error));
            }
        };
        lives.context("the launcher does not say that it lives").or_exit(Exit::Unavailable)?.or_bus()?;
        self.launcher_id = Some(id);
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

    /// Where webhooks are taken, if they are.
    #[must_use]
    pub fn webhooks(&self) -> Option<SocketAddr> {
        self.webhooks
    }

    /// Runs until it is to stop, or until something that it cannot live without is lost.
    pub async fn run(self) -> Ending {
        let lost = self.failed().await;
        let ending = self.stop().await;
        if lost { Ending::Failed } else { ending }
    }

    /// Completes when one of the services is stopping; whether it is because the bus is lost.
    pub async fn failed(&self) -> bool {
        let bus = async {
            match &self.server {
                Some(server) => server.lost().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = bus => {
                tracing::error!(reason, "the private bus is lost");
                true
            }
            () = self.dispatcher.stopping() => false,
            () = self.launcher.stopping() => false,
            () = self.supervisor.stopping() => false,
        }
    }

    /// Stops everything once nobody uses it any more: other commands may have used these services meanwhile. An
    /// interrupt stops them at once; what still runs then goes back to the queue.
    ///
    /// # Errors
    /// Interrupts cannot be listened for.
    pub async fn retire(self, context: &Context) -> Result<(), Failure> {
        let mut interrupts = Interrupts::listen()?;
        let told = async {
            tokio::time::sleep(PATIENCE).await;
            output::note("others use these services; interrupt to leave them to their own");
            std::future::pending::<()>().await;
        };
        // Held until everything has stopped, so that nobody begins to use what is about to end.
        let _alone = tokio::select! {
            alone = self.unused(context) => alone.map(Some),
            () = interrupts.next() => Ok(None),
            _ = self.failed() => Ok(None),
            () = told => Ok(None),
        };
        self.stop().await;
        Ok(())
    }

    /// Waits until nobody uses the services and they have nothing in hand.
    async fn unused(&self, context: &Context) -> Result<Alone, Failure> {
        loop {
            if let Some(alone) = Alone::take(&context.home)?
                && !self.is_busy(context).await?
            {
                return Ok(alone);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether a request waits on the private bus or is in hand. A bus of others has requests of others: there it
    /// counts whether this launcher's bottles run.
    async fn is_busy(&self, context: &Context) -> Result<bool, Failure> {
        if self.server.is_some() {
            let admin = context::connect(&context.home, &self.url, Role::Admin).await?;
            return Ok(admin.unfinished(&layout::LAUNCHERS).await.or_bus()? > 0);
        }
        let records = list::records(&context.operator().await?).await.or_bus()?;
        Ok(records
            .iter()
            .any(|record| record.state.is_live() && Some(&record.launcher) == self.launcher_id.as_ref()))
    }

    /// Stops everything, in reverse: a launcher that ends its bottles needs the supervisor, and both need the bus.
    pub async fn stop(self) -> Ending {
        self.dispatcher.stop();
        let dispatcher = self.dispatcher.run(GRACE).await;
        self.launcher.stop();
        let launcher = self.launcher.run(GRACE).await;
        self.supervisor.stop();
        let supervisor = self.supervisor.run(GRACE).await;
        if let Some(server) = self.server {
            server.stop().await;
        }
        [launcher, supervisor].into_iter().fold(dispatcher, |before, ending| match (before, ending) {
            (Ending::Clean, other) => other,
            (Ending::Forced, Ending::Failed) => Ending::Failed,
            (other, _) => other,
        })
    }
}

/// What to say to somebody who wants to run services that run already.
#[must_use]
pub fn in_use(context: &Context) -> anyhow::Error {
    anyhow!("the services of {} run already; `bot-bottle down` stops them", context.home.display())
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
