//! The service: built from its configuration, started on a lifecycle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::layout::{DISPATCHER, EVENTS, PR_SESSIONS};
use bus::message::event::Event;
use bus::message::pr::{PrEvent, PrSession};
use bus::{Bus, BusError, Since};
use jiff::SignedDuration;
use telemetry::Tracer;
use tokio::net::TcpListener;

use crate::asking::Asking;
use crate::busy::Busy;
use crate::config::Config;
use crate::forge::Forge;
use crate::posting::Posting;
use crate::runs::Run;
use crate::shared::{Shared, lock};
use crate::standing::Standings;
use crate::{ends, machine, registry, webhook, work};

/// A dispatcher that is connected and takes nothing yet.
pub struct Dispatcher {
    bus: Bus,
    listener: TcpListener,
    config: Config,
    forges: BTreeMap<String, Forge>,
}

/// How much the bus's clock may be behind ours.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// Connects to the bus, and listens.
///
/// # Errors
/// The bus or the address cannot be had, or a token cannot be in a header.
pub async fn build(config: Config) -> anyhow::Result<Dispatcher> {
    let bus = Bus::connect(config.connect.clone()).await?;
    let mut forges = BTreeMap::new();
    for (name, hook) in &config.file.webhooks {
        let secrets =
            config.secrets.get(name).with_context(|| format!("the webhook {name} has no secret"))?;
        forges.insert(name.clone(), Forge::new(hook, &secrets.token)?);
    }
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| {
        format!("cannot take webhooks at {}; `listen` in dispatch.yaml names another place", config.listen)
    })?;
    Ok(Dispatcher { bus, listener, config, forges })
}

impl Dispatcher {
    /// Where webhooks are taken.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Goes on with what was in hand, and takes deliveries, as tasks of `life`. If one of the tasks ends, the lifecycle
    /// fails.
    ///
    /// # Errors
    /// The bus does not let it listen, or the conversations cannot be read.
    pub async fn start(self, life: &Lifecycle) -> Result<(), BusError> {
        let Config { file, limits, secrets, collector, .. } = self.config;
        let shared = Arc::new(Shared {
            bus: self.bus.clone(),
            clock: Clock::System,
            tracer: Tracer::start(collector, "bot-bottle-dispatcher", Clock::System, life),
            standings: Standings::new(limits.standing),
            posting: Posting::new(),
            life: life.clone(),
            forges: self.forges,
            runs: Mutex::default(),
            behind: Busy::default(),
            file,
            limits,
            secrets,
        });
        let unfinished = unfinished(&self.bus).await?;
        let since = unfinished.iter().filter_map(|(_, session)| machine::since(session)).min();
        let since = since.map_or(Since::Now, |since| Since::Time(since - SLACK));
        for (key, session) in &unfinished {
            Run::of(session).inspect(|run| lock(&shared.runs).expect(key, run));
        }
        let events = self.bus.follow::<Event>(EVENTS, "bottle.>", since).await?;
        let asking = Asking::listen(&self.bus).await?;
        let queue = self.bus.work_queue::<PrEvent>(&DISPATCHER).await?;
        for (key, session) in &unfinished {
            registry::follow(&shared, &shared.bus, key, &machine::again(session)).await;
        }
        life.spawn_essential(ends::serve(shared.clone(), events));
        life.spawn_essential(asking.serve(shared.clone()));
        life.spawn_essential(work::serve(shared.clone(), queue));
        life.spawn_essential(webhook::serve(shared, self.listener, life.clone()));
        Ok(())
    }
}

/// The conversations with a run or an answer in hand.
async fn unfinished(bus: &Bus) -> Result<Vec<(String, PrSession)>, BusError> {
    let mut watch = bus.bucket(&PR_SESSIONS).watch().await?;
    let mut unfinished = Vec::new();
    while let Some(change) = watch.stored().await? {
        match change.value {
            Some(Ok(found)) if !machine::again(&found.value).is_empty() => {
                unfinished.push((change.key, found.value));
            }
            Some(Err(malformed)) => {
                tracing::error!(
                    key = change.key,
                    error = malformed.to_string(),
                    "a conversation cannot be read"
                );
            }
            _ => {}
        }
    }
    Ok(unfinished)
}
