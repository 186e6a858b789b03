//! Config → build → run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use base::clock::Clock;
use base::lifecycle::Lifecycle;
use futures::FutureExt as _;
use rustls::crypto::CryptoProvider;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep};

use crate::ca::Authority;
use crate::config::{Config, check_limits};
use crate::dial::Dialer;
use crate::gateway::Gateway;
use crate::keeper::{Destination, Keeper};
use crate::own;
use crate::record::{Queue, Recorder};
use crate::running::{Chest, Live};
use crate::serve::serve;
use crate::spool::Spool;
use crate::trust::System;

/// How often resting connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How long the accept loop waits when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it says nothing more about that.
const SILENCE: Duration = Duration::from_secs(60);

/// A bottle's proxy, ready to run.
pub struct Proxy {
    gateway: Arc<Gateway>,
    keeper: Keeper,
    records: Arc<Queue>,
}

/// The handle through which a running proxy's policy changes.
#[derive(Clone)]
pub struct Policies(pub(crate) Arc<Live>);

/// Builds a proxy. Nothing listens, dials or writes records yet; whatever can be wrong is found here.
///
/// # Errors
/// An invalid policy or limit, a spool that cannot be written, or an operating system that keeps its own addresses
/// to itself.
pub fn build(
    config: Config,
    destination: Destination,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<Proxy> {
    check_limits(&config.limits)?;
    own::addresses()
        .context("reading this host's own addresses from /proc/net, to keep requests away from them")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let limits = config.limits;
    let full = Arc::new(AtomicBool::new(false));
    let spool = Spool::open(&config.spool, limits.spool_bytes).context("opening the spool of records")?;
    let keeper = Keeper::new(config.bottle.clone(), destination, spool, Arc::clone(&full));
    let (recorder, records) = Recorder::new(config.bottle, clock.clone(), full);
    let chest = Chest {
        secrets: config.secrets,
        authorities: config.authorities,
        provider: Arc::clone(&provider),
        header_bytes: limits.header_bytes,
        life: life.clone(),
    };
    let live = Arc::new(Live::new(chest, config.revision, &config.policy)?);
    let within = Duration::from_secs(limits.handshake_seconds);
    let dialer = Dialer::new(System::new(Arc::clone(&provider)), within, limits.connections);
    let ca = authority(provider, clock, limits.certificates)?;
    let gateway = Arc::new(Gateway { live, ca, recorder, dialer, limits, life: life.clone() });
    Ok(Proxy { gateway, keeper, records })
}

fn authority(provider: Arc<CryptoProvider>, clock: Clock, limit: usize) -> anyhow::Result<Authority> {
    Authority::generate(provider, clock, limit).context("making the bottle's certificate authority")
}

impl Proxy {
    /// The certificate (PEM) that the agent must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        self.gateway.ca.certificate()
    }

    /// Where its policy can be changed.
    #[must_use]
    pub fn policies(&self) -> Policies {
        Policies(Arc::clone(&self.gateway.live))
    }

    /// Accepts connections until the lifecycle stops. Returns at once; the lifecycle owns the tasks.
    pub fn run(self, listeners: Vec<TcpListener>) {
        let Self { gateway, keeper, records } = self;
        let life = gateway.life.clone();
        life.spawn_essential(keeper.run(records, life.clone()));
        let places = Arc::new(Semaphore::new(gateway.limits.connections));
        for listener in listeners {
            life.spawn_essential(accept(Arc::clone(&gateway), listener, Arc::clone(&places)));
        }
        life.spawn(sweep(Arc::clone(&gateway)));
    }
}

impl Policies {
    /// Runs another revision from the next request on; connections live on (E13).
    ///
    /// # Errors
    /// It is invalid or not newer; the old one goes on.
    pub fn offer(&self, revision: u64, policy: &policy::EgressPolicy) -> Result<(), crate::InvalidPolicy> {
        self.0.offer(revision, policy)
    }

    /// The revision that runs.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.current().revision
    }
}

/// Accepts one connection for each free place; further ones wait in the kernel.
async fn accept(gateway: Arc<Gateway>, listener: TcpListener, places: Arc<Semaphore>) {
    let life = gateway.life.clone();
    let mut told: Option<Instant> = None;
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = life.stopping() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let gateway = Arc::clone(&gateway);
                life.spawn(async move {
                    contain(serve(gateway, stream)).await;
                    drop(place);
                });
            }
            Err(error) => {
                // An agent that uses up the descriptors must not fill the log as well.
                if told.is_none_or(|at| at.elapsed() >= SILENCE) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept connections");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// A defect met on one connection ends that connection and no other. What it panicked with may hold what the agent
/// sent, and is not logged.
async fn contain(connection: impl Future<Output = ()>) {
    if AssertUnwindSafe(connection).catch_unwind().await.is_err() {
        tracing::error!("a connection was dropped because of a defect in the proxy");
    }
}

async fn sweep(gateway: Arc<Gateway>) {
    if gateway.live.current().upstreams().any(|upstream| upstream.link().trusts_system()) {
        gateway.dialer.warm().await;
    }
    let mut tick = interval(SWEEP);
    loop {
        tokio::select! {
            _ = tick.tick() => gateway.live.current().upstreams().for_each(|upstream| upstream.sweep()),
            () = gateway.life.stopping() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stays_on_its_connection() {
        contain(async { panic!("on purpose") }).await;
    }
}
