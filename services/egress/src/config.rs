//! What a bottle's proxy is made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use base::Secret;
use base::id::Slug;
use bus::{Credentials, Trace};
use handover::sidecar::{BusAccess, EgressHandover, EgressLimits, TraceHandover, Uplink};
use policy::EgressPolicy;
use telemetry::Endpoint;

/// The checked form of a hand-over.
pub struct Config {
    /// The bottle.
    pub bottle: Slug,
    /// The revision of `policy`.
    pub revision: u64,
    /// The policy to begin with.
    pub policy: EgressPolicy,
    /// `token_ref` → token.
    pub secrets: BTreeMap<String, Secret>,
    /// The bottle's canary (E11).
    pub canary: Option<Secret>,
    /// Whether refusals name the door's tool; a bottle without a door has none.
    pub has_door: bool,
    /// The operator's own secret rules, instead of the standard ones.
    pub rules: Option<String>,
    /// `tls.ca` → PEM.
    pub authorities: BTreeMap<String, String>,
    /// How the host's own network is left.
    pub uplink: Uplink,
    /// A directory for records that the bus has not taken.
    pub spool: PathBuf,
    /// The socket to tell the metrics on (E17); none are counted without one.
    pub metrics: Option<PathBuf>,
    /// What the requests are part of.
    pub trace: Trace,
    /// Where their spans go (E17); none are made without it.
    pub collector: Option<Endpoint>,
    /// The limits (E14).
    pub limits: EgressLimits,
}

/// How to reach the bus.
pub struct BusConfig {
    /// `nats://host:port`.
    pub url: String,
    /// As whom.
    pub credentials: Credentials,
    /// What the messages are part of.
    pub trace: Trace,
}

impl Config {
    /// Checks what the launcher handed over.
    ///
    /// # Errors
    /// Another version, a limit of zero, or bus credentials that are none.
    pub fn from_handover(handover: EgressHandover) -> anyhow::Result<(Self, Option<BusConfig>)> {
        if handover.v != 1 {
            bail!(
                "the hand-over has version {}, and this program reads version 1: run the same release",
                handover.v
            );
        }
        let (trace, collector) = trace(handover.trace)?;
        let bus = handover.bus.map(|access| BusConfig::new(access, trace)).transpose()?;
        let EgressHandover {
            bottle,
            revision,
            policy,
            secrets,
            canary,
            has_door,
            rules,
            authorities,
            uplink,
            spool,
            metrics,
            limits,
            ..
        } = handover;
        check_limits(&limits)?;
        Ok((
            Self {
                bottle,
                revision,
                policy,
                secrets,
                canary,
                has_door,
                rules,
                authorities,
                uplink,
                spool,
                metrics,
                trace,
                collector,
                limits,
            },
            bus,
        ))
    }
}

impl BusConfig {
    fn new(access: BusAccess, trace: Trace) -> anyhow::Result<Self> {
        let credentials = Credentials::new(access.jwt, access.seed).context("reading the bus credentials")?;
        Ok(Self { url: access.url, credentials, trace })
    }
}

/// The trace that was handed over, or a new one; and where its spans go.
fn trace(handed: Option<TraceHandover>) -> anyhow::Result<(Trace, Option<Endpoint>)> {
    let Some(TraceHandover { context, collector }) = handed else { return Ok((Trace::random(), None)) };
    let trace = context.parse().context("reading the bottle's trace")?;
    let collector = collector.map(|url| url.parse()).transpose();
    Ok((trace, collector.context("reading the collector's URL")?))
}

/// The smallest head that hyper can read.
const LEAST_HEADER_BYTES: usize = 8192;

/// Refuses limits that would let nothing through.
///
/// # Errors
/// The limit and what it may be.
pub fn check_limits(limits: &EgressLimits) -> anyhow::Result<()> {
    let zero = [
        ("connections", limits.connections == 0),
        ("streams", limits.streams == 0),
        ("body_bytes", limits.body_bytes == Some(0)),
        ("idle_seconds", limits.idle_seconds == 0),
        ("handshake_seconds", limits.handshake_seconds == 0),
        ("certificates", limits.certificates == 0),
        ("hold_seconds", limits.hold_seconds == 0),
        ("decoded_bytes", limits.decoded_bytes == 0),
        ("spool_bytes", limits.spool_bytes == 0),
    ];
    if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
        bail!("the limit {name} is 0; give at least 1, or leave it out for its default");
    }
    if limits.header_bytes < LEAST_HEADER_BYTES {
        bail!("the limit header_bytes is {}; give at least {LEAST_HEADER_BYTES}", limits.header_bytes);
    }
    Ok(())
}
