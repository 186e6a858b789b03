//! Config → build → run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use base::Secret;
use base::accept::Listener;
use base::clock::Clock;
use base::id::ProposalId;
use base::lifecycle::Lifecycle;
use bus::message::proposal::Resolved;
use futures::FutureExt as _;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use rustls::crypto::CryptoProvider;
use scan::{Detectors, Known, Rules};
use telemetry::Tracer;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep};

use crate::ca::Authority;
use crate::config::{Config, check_limits};
use crate::contents::Contents;
use crate::dial::Dialer;
use crate::gateway::Gateway;
use crate::incoming::Screen;
use crate::inspect::{Holds, Scanner};
use crate::journal::Journal;
use crate::keeper::{Destination, Keeper};
use crate::metrics::{Metrics, Page, serve as serve_metrics};
use crate::own;
use crate::record::{Queue, Recorder};
use crate::running::{Chest, Live};
use crate::scrub::Scrubber;
use crate::serve::serve;
use crate::span::Spans;
use crate::spool::Spool;
use crate::trust::{System, roots};
use crate::uplink::Uplink;

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
    page: Option<Page>,
}

/// The handle through which a running proxy's policy changes.
#[derive(Clone)]
pub struct Policies(Arc<Gateway>);

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
    let limits = config.limits.clone();
    let uplink = config.uplink.proxy.as_ref().map(Uplink::new).transpose();
    let uplink = uplink.context("reading the host's setting of a proxy")?;
    let extra_authorities: Option<Arc<str>> = config.uplink.authorities.as_deref().map(Into::into);
    let extra = extra_authorities.as_deref().map(roots).transpose();
    extra.context("reading the host's further authorities")?;
    let full = Arc::new(AtomicBool::new(false));
    let spool = Spool::open(&config.spool, limits.spool_bytes).context("opening the spool of records")?;
    let page = config.metrics.as_deref().map(Page::open).transpose().context("preparing the metrics")?;
    let metrics = page.as_ref().map(|_| Metrics::new());
    let mut scanner = scanner(&config, &destination, &clock)?;
    scanner.times = metrics.as_ref().map(|metrics| metrics.scans.clone());
    let scanner = Arc::new(scanner);
    let mut screen = Screen::new(&config.secrets, digest_key(), limits.decoded_bytes)?;
    screen.times = metrics.as_ref().map(|metrics| metrics.scans.answer.clone());
    let scrubber = Scrubber::new(Arc::clone(&scanner.detectors));
    let mut keeper = Keeper::new(config.bottle.clone(), destination, spool, Arc::clone(&full), scrubber);
    metrics.iter().for_each(|metrics| keeper.count(Arc::clone(metrics)));
    let tracer = Tracer::start(config.collector, "bot-bottle-egress", clock.clone(), life);
    Spans::new(tracer, config.trace, config.bottle.as_str()).into_iter().for_each(|spans| keeper.tell(spans));
    let (recorder, records) = Recorder::new(config.bottle, clock.clone(), full);
    let chest = Chest {
        secrets: config.secrets,
        authorities: config.authorities,
        extra_authorities: extra_authorities.clone(),
        provider: Arc::clone(&provider),
        header_bytes: limits.header_bytes,
        life: life.clone(),
    };
    let live = Arc::new(Live::new(chest, config.revision, &config.policy)?);
    let within = Duration::from_secs(limits.handshake_seconds);
    let system = System::new(Arc::clone(&provider), extra_authorities);
    let dialer = Dialer::new(system, uplink, within, limits.connections);
    let contents = Contents::new();
    let ca = authority(provider, clock, limits.certificates)?;
    let gateway = Arc::new(Gateway {
        live,
        ca,
        recorder,
        scanner,
        screen,
        contents,
        dialer,
        limits,
        has_door: config.has_door,
        metrics,
        life: life.clone(),
    });
    Ok(Proxy { gateway, keeper, records, page })
}

/// The detectors, with all secrets that this proxy holds, and the way to a person.
fn scanner(config: &Config, destination: &Destination, clock: &Clock) -> anyhow::Result<Scanner> {
    let known =
        |name: &str, value: &Secret, is_canary| Known { name: name.into(), value: value.clone(), is_canary };
    let secrets = config.secrets.iter().map(|(name, value)| known(name, value, false));
    let canary = config.canary.iter().map(|value| known("canary", value, true));
    let rules = match &config.rules {
        Some(text) => {
            Arc::new(Rules::parse(text, "rules.toml").context("reading the operator's secret rules")?)
        }
        None => Rules::standard(),
    };
    let detectors = Detectors::new(rules, secrets.chain(canary).collect(), digest_key());
    let bus = match destination {
        Destination::Bus(bus) => Some(bus.clone()),
        Destination::Channel(_) => None,
    };
    let patience = Duration::from_secs(config.limits.hold_seconds);
    let holds = Arc::new(Holds::new(config.bottle.clone(), clock.clone(), bus, patience));
    Ok(Scanner::new(detectors, config.canary.is_some(), holds, &config.limits))
}

/// What findings are told apart by, in this process only.
fn digest_key() -> Secret {
    Secret::new(rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect())
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
        Policies(Arc::clone(&self.gateway))
    }

    /// Writes a line for each decision to `log`, as far as the policy says so (E12). Without this, none is.
    pub fn log_to(&mut self, log: impl std::io::Write + Send + 'static) {
        self.keeper.log_to(Journal::new(Box::new(log)));
    }

    /// Accepts connections until the lifecycle stops. Returns at once; the lifecycle owns the tasks.
    pub fn run(self, listeners: Vec<impl Into<Listener>>) {
        let Self { gateway, keeper, records, page } = self;
        let life = gateway.life.clone();
        let places = Arc::new(Semaphore::new(gateway.limits.connections));
        if let (Some(page), Some(metrics)) = (page, gateway.metrics.clone()) {
            let (gateway, records) = (Arc::clone(&gateway), Arc::clone(&records));
            let text = move || metrics.text(gateway.now(&records));
            life.spawn(serve_metrics(page, text, life.clone()));
        }
        life.spawn_essential(keeper.run(records, life.clone()));
        for listener in listeners.into_iter().map(Into::into) {
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
        let offered = self.0.live.offer(revision, policy);
        if let (Err(_), Some(metrics)) = (&offered, &self.0.metrics) {
            metrics.refused_policies.inc();
        }
        offered
    }

    /// A person has answered a question.
    pub fn resolve(&self, resolved: Resolved) {
        self.0.scanner.holds.resolve(resolved);
    }

    /// The questions that wait for a person's answer.
    #[must_use]
    pub fn pending(&self) -> Vec<ProposalId> {
        self.0.scanner.holds.pending()
    }

    /// The revision that runs.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.live.current().revision
    }
}

/// Accepts one connection for each free place; further ones wait in the kernel.
async fn accept(gateway: Arc<Gateway>, listener: Listener, places: Arc<Semaphore>) {
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
            Ok(stream) => {
                let gateway = Arc::clone(&gateway);
                life.spawn(async move {
                    let metrics = gateway.metrics.clone();
                    metrics.iter().for_each(|metrics| metrics.opened());
                    contain(serve(gateway, stream)).await;
                    metrics.iter().for_each(|metrics| metrics.closed());
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
