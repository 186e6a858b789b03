//! What a bottle's git gate is made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use base::Secret;
use base::id::Slug;
use bus::{Connect, Credentials, Trace};
use handover::gitgate::{GateAccess, GateLimits, GateRepo, GitgateHandover};
use handover::sidecar::Uplink;

/// The checked form of a hand-over, as far as it is about serving. What is about judging goes to the judge.
pub struct Config {
    /// The bottle.
    pub bottle: Slug,
    /// The repositories by name.
    pub repos: BTreeMap<String, RepoConfig>,
    /// How the host's own network is left.
    pub uplink: Uplink,
    /// A directory for mirrors, quarantines and records that the bus has not taken yet.
    pub spool: PathBuf,
    /// The `git` program.
    pub git: PathBuf,
    /// The `ssh` program.
    pub ssh: Option<PathBuf>,
    /// This very program, which `git` starts by other names (see [`crate::helper`]).
    pub helper: PathBuf,
    /// The limits.
    pub limits: GateLimits,
}

/// One repository.
pub struct RepoConfig {
    /// Upstream's address.
    pub url: String,
    /// What is shown there.
    pub access: Access,
}

/// What is shown to upstream.
pub enum Access {
    /// SSH.
    Ssh {
        /// The server's public key, pinned: its type and its base64 text.
        host_key: String,
        /// The private key as OpenSSH writes it, without a passphrase.
        key: Secret,
    },
    /// HTTPS.
    Https {
        /// A token, if the repository wants one.
        token: Option<Secret>,
    },
}

/// How to reach the bus.
pub struct BusConfig {
    /// Where, and as whom.
    pub connect: Connect,
    /// What the messages are part of.
    pub trace: Trace,
}

impl Config {
    /// Checks what the launcher handed over.
    ///
    /// # Errors
    /// Another version, no repository, a limit of zero, or bus credentials that are none or another bottle's.
    pub fn from_handover(handover: &GitgateHandover, helper: PathBuf) -> anyhow::Result<(Self, BusConfig)> {
        if handover.v != 1 {
            bail!(
                "the hand-over has version {}, and this program reads version 1: run the same release",
                handover.v
            );
        }
        if handover.repos.is_empty() {
            bail!("the hand-over names no repository");
        }
        check_limits(&handover.limits)?;
        let repos = handover.repos.iter().map(|(name, repo)| {
            Ok((name.clone(), RepoConfig::new(repo).with_context(|| format!("git-gate.repos.{name}"))?))
        });
        let config = Self {
            bottle: handover.bottle.clone(),
            repos: repos.collect::<anyhow::Result<_>>()?,
            uplink: handover.uplink.clone(),
            spool: handover.spool.clone(),
            git: handover.git.clone(),
            ssh: handover.ssh.clone(),
            helper,
            limits: handover.limits.clone(),
        };
        Ok((config, BusConfig::new(handover)?))
    }
}

impl RepoConfig {
    fn new(repo: &GateRepo) -> anyhow::Result<Self> {
        let access = match &repo.access {
            GateAccess::Ssh { host_key, key } => Access::Ssh { host_key: host_key.clone(), key: key.clone() },
            GateAccess::Https { token } => Access::Https { token: token.clone() },
        };
        Ok(Self { url: repo.url.clone(), access })
    }
}

impl BusConfig {
    fn new(handover: &GitgateHandover) -> anyhow::Result<Self> {
        let access = handover.bus.clone();
        let credentials = Credentials::new(access.jwt, access.seed).context("reading the bus credentials")?;
        if credentials.name() != handover.bottle.as_str() {
            bail!(
                "the bus credentials are those of {}, and the bottle is {}",
                credentials.name(),
                handover.bottle
            );
        }
        let trace = match &handover.trace {
            Some(trace) => trace.context.parse().context("reading the bottle's trace")?,
            None => Trace::random(),
        };
        Ok(Self { connect: Connect::new(access.url, credentials), trace })
    }
}

/// Refuses limits that would let nothing through.
///
/// # Errors
/// The limit that is 0.
pub fn check_limits(limits: &GateLimits) -> anyhow::Result<()> {
    let zero = [
        ("connections", limits.connections == 0),
        ("pushes", limits.pushes == 0),
        ("refs", limits.refs == 0),
        ("pack_bytes", limits.pack_bytes == 0),
        ("objects", limits.objects == 0),
        ("object_bytes", limits.object_bytes == 0),
        ("unpacked_bytes", limits.unpacked_bytes == 0),
        ("idle_seconds", limits.idle_seconds == 0),
        ("upstream_seconds", limits.upstream_seconds == 0),
        ("scan_seconds", limits.scan_seconds == 0),
        ("hold_seconds", limits.hold_seconds == 0),
    ];
    if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
        bail!("the limit {name} is 0; give at least 1, or leave it out for its default");
    }
    if limits.refs > MOST_REFS {
        bail!(
            "the limit refs is {}; give at most {MOST_REFS}, which the record of a push has room for",
            limits.refs
        );
    }
    Ok(())
}

/// Refs that fit into one message on the bus with their names and objects.
const MOST_REFS: usize = 1500;
