//! What a bottle's proxy counts (E17), in the text form that Prometheus reads. Nothing of it exists unless it was asked
//! for. Labels have values of this program only: never a host, a path or another text of an agent, so their number is
//! bounded.
//!
//! Decisions are counted where their records are kept, which delays no request; what is counted on the way of one is an
//! atomic.

mod page;
mod times;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bus::message::egress::{Allowed, Blocked, Found, Outcome};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub(crate) use page::{Page, serve};
pub(crate) use times::{Stopwatch, Times};

/// A name and a value that this program chose.
type Label = (&'static str, String);

/// See the module.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<[Label; 1], Counter>,
    refusals: Family<[Label; 1], Counter>,
    findings: Family<[Label; 3], Counter>,
    sent: Counter,
    received: Counter,
    duration: Times,
    pub(crate) scans: ScanTimes,
    connections: Counter,
    open: Gauge<u64, AtomicU64>,
    pub(crate) refused_policies: Counter,
    pub(crate) spooled: Gauge<u64, AtomicU64>,
    now: Gauges,
}

/// How long the detectors took.
#[derive(Clone, Debug)]
pub(crate) struct ScanTimes {
    pub(crate) head: Times,
    pub(crate) body: Times,
    pub(crate) answer: Times,
}

/// What is so at the moment it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Questions that no person has answered.
    pub(crate) held: u64,
    /// Records that the keeper has not taken yet.
    pub(crate) queued: u64,
    /// Whether no further record can be kept.
    pub(crate) is_full: bool,
    /// The policy that runs.
    pub(crate) revision: u64,
}

#[derive(Default)]
struct Gauges {
    held: Gauge<u64, AtomicU64>,
    queued: Gauge<u64, AtomicU64>,
    full: Gauge<u64, AtomicU64>,
    revision: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let scans = Family::<[Label; 1], Times>::default();
        let scan = |part: &str| scans.get_or_create_owned(&[("part", part.to_owned())]);
        let mut metrics = Self {
            registry: Registry::with_prefix("bot_bottle_egress"),
            requests: Family::default(),
            refusals: Family::default(),
            findings: Family::default(),
            sent: Counter::default(),
            received: Counter::default(),
            duration: Times::default(),
            scans: ScanTimes { head: scan("head"), body: scan("body"), answer: scan("answer") },
            connections: Counter::default(),
            open: Gauge::default(),
            refused_policies: Counter::default(),
            spooled: Gauge::default(),
            now: Gauges::default(),
        };
        metrics.register(scans);
        Arc::new(metrics)
    }

    fn register(&mut self, scans: Family<[Label; 1], Times>) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests, by what became of them", self.requests.clone());
        registry.register("refusals", "Refused requests, by rule", self.refusals.clone());
        registry.register("findings", "What detectors found", self.findings.clone());
        registry.register("sent_bytes", "Bytes of bodies of allowed requests", self.sent.clone());
        registry.register("received_bytes", "Bytes of the answers' bodies", self.received.clone());
        registry.register(
            "request_seconds",
            "From a request's head to its answer's end",
            self.duration.clone(),
        );
        registry.register("scan_seconds", "Time in detectors, by what they looked at", scans);
        registry.register("connections", "Connections from the agent", self.connections.clone());
        registry.register("open_connections", "Those that are open", self.open.clone());
        registry.register("held_questions", "Questions that no person has answered", self.now.held.clone());
        registry.register("queued_records", "Records that wait in memory", self.now.queued.clone());
        registry.register("spooled_bytes", "Bytes of records that wait on disk", self.spooled.clone());
        registry.register("records_full", "1 while no record can be kept", self.now.full.clone());
        registry.register("policy_revision", "The policy that runs", self.now.revision.clone());
        registry.register(
            "refused_policies",
            "Policies that could not be run",
            self.refused_policies.clone(),
        );
    }

    /// A connection from the agent begins.
    pub(crate) fn opened(&self) {
        self.connections.inc();
        self.open.inc();
    }

    /// It is over.
    pub(crate) fn closed(&self) {
        self.open.dec();
    }

    /// Counts an allowed request. `outcome`: what became of it, in one word.
    pub(crate) fn allowed(&self, line: &Allowed, outcome: &'static str) {
        self.requests.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.sent.inc_by(line.sent);
        self.received.inc_by(line.received);
        self.duration.observe(std::time::Duration::from_millis(line.duration_ms));
        line.found.iter().for_each(|found| self.found(found));
    }

    /// Counts a refused one.
    pub(crate) fn blocked(&self, line: &Blocked, outcome: &'static str) {
        self.requests.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.refusals.get_or_create(&[("rule", line.rule.clone())]).inc();
        line.found.iter().for_each(|found| self.found(found));
    }

    fn found(&self, found: &Found) {
        // Behind the detector stands the rule or the secret's name, of which there may be many.
        let detector = found.detector.split('/').next().unwrap_or_default().to_owned();
        let outcome = match found.outcome {
            Outcome::Blocked => "blocked",
            Outcome::Held => "held",
            Outcome::Approved => "approved",
            Outcome::Redacted => "redacted",
            Outcome::Warned => "warned",
        };
        let labels =
            [("detector", detector), ("surface", found.surface.clone()), ("outcome", outcome.to_owned())];
        self.findings.get_or_create(&labels).inc();
    }

    /// Everything, in the OpenMetrics text format 1.0.
    pub(crate) fn text(&self, now: Now) -> String {
        let Now { held, queued, is_full, revision } = now;
        for (gauge, value) in [
            (&self.now.held, held),
            (&self.now.queued, queued),
            (&self.now.full, is_full.into()),
            (&self.now.revision, revision),
        ] {
            gauge.set(value);
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
