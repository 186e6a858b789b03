//! What the launcher hands to a bottle's git gate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::Secret;
use base::id::Slug;
use manifest::{RefRules, WorkflowRule};
use serde::{Deserialize, Serialize};

use crate::sidecar::{BusAccess, TraceHandover, Uplink, exposed, exposed_option};

/// Everything the git gate needs; the first frame it gets. Its listening socket is named `git`.
#[derive(Clone, Serialize, Deserialize)]
pub struct GitgateHandover {
    /// Version of this message: 1.
    pub v: u32,
    /// The bottle it serves.
    pub bottle: Slug,
    /// How it reaches the bus.
    pub bus: BusAccess,
    /// The bottle's policy revision, which a proposal is made against.
    pub revision: u64,
    /// The repositories by name; at least one.
    pub repos: BTreeMap<String, GateRepo>,
    /// The bottle's canary (E11), which must not leave by a push either.
    #[serde(default, with = "exposed_option")]
    pub canary: Option<Secret>,
    /// The operator's own secret rules in the gitleaks schema; the standard ones where there are none.
    #[serde(default)]
    pub rules: Option<String>,
    /// Whether a person can be asked; a push that would wait for one is refused otherwise.
    pub supervise: bool,
    /// How the host's own network is left.
    #[serde(default)]
    pub uplink: Uplink,
    /// A directory of its own for mirrors, quarantines and records that the bus has not taken yet.
    pub spool: PathBuf,
    /// The `git` program, as the gate reaches it.
    pub git: PathBuf,
    /// The `gitleaks` program, as the gate reaches it.
    pub gitleaks: PathBuf,
    /// The `ssh` program, as the gate reaches it; only needed where a repository is reached by SSH.
    #[serde(default)]
    pub ssh: Option<PathBuf>,
    /// What its messages are part of.
    #[serde(default)]
    pub trace: Option<TraceHandover>,
    /// Limits; absent fields have their defaults.
    #[serde(default)]
    pub limits: GateLimits,
}

/// A repository that the gate serves (G1).
#[derive(Clone, Serialize, Deserialize)]
pub struct GateRepo {
    /// Upstream's address as in the manifest: `ssh://user@host[:port]/path`, `user@host:path`, or `https://host/path`.
    pub url: String,
    /// What the gate shows there.
    pub access: GateAccess,
    /// Which refs a push may touch, as in the manifest.
    #[serde(default)]
    pub refs: RefRules,
    /// What becomes of a push that changes workflow files.
    #[serde(default)]
    pub workflows: WorkflowRule,
}

/// What the gate shows to upstream.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum GateAccess {
    /// SSH with a private key of the operator's, or one that was made and registered for this one launch (G8).
    Ssh {
        /// The server's public key, pinned: its type and its base64 text.
        host_key: String,
        /// The private key as OpenSSH writes it, without a passphrase.
        #[serde(with = "exposed")]
        key: Secret,
    },
    /// HTTPS, with a token if the repository wants one.
    Https {
        /// It.
        #[serde(default, with = "exposed_option")]
        token: Option<Secret>,
    },
}

/// What the program gets that makes, registers and takes back deploy keys at a Gitea or Forgejo forge (G8); its only frame.
#[derive(Clone, Serialize, Deserialize)]
pub struct DeployKeyHandover {
    /// Version of this message: 1.
    pub v: u32,
    /// What it is to do.
    pub order: DeployKeyOrder,
    /// The repository's address, which names the repository at the forge, too.
    pub url: String,
    /// The forge's address; `https://` and the repository's host unless given.
    #[serde(default)]
    pub api_url: Option<String>,
    /// The forge's token, which may register keys.
    #[serde(with = "exposed")]
    pub token: Secret,
    /// What the key is called at the forge.
    pub title: String,
    /// How the host's own network is left.
    #[serde(default)]
    pub uplink: Uplink,
}

/// What is to be done with deploy keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeployKeyOrder {
    /// Make a key pair and register its public half, with the right to write.
    Register,
    /// Take back every key with the title. None is fine, too.
    Revoke,
}

/// What came of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum DeployKeyAnswer {
    /// The public half is registered.
    Registered {
        /// The private half, in OpenSSH's form.
        #[serde(with = "exposed")]
        key: Secret,
    },
    /// The forge has no key with the title any more.
    Revoked,
    /// It could not be done.
    Failed {
        /// Why, without any secret, and what to try.
        reason: String,
    },
}

/// Limits of one bottle's git gate. Zero is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateLimits {
    /// Connections from the agent at once; further ones wait to be accepted.
    pub connections: usize,
    /// Pushes at once; further ones wait.
    pub pushes: usize,
    /// Refs that one push may touch.
    pub refs: usize,
    /// Bytes of a pack that is pushed.
    pub pack_bytes: u64,
    /// Objects of a push.
    pub objects: u64,
    /// Bytes of one object that is pushed, unpacked.
    pub object_bytes: u64,
    /// Bytes of all objects of a push, unpacked.
    pub unpacked_bytes: u64,
    /// Seconds a connection may be silent.
    pub idle_seconds: u64,
    /// Seconds that one fetch from upstream, or one push to it, may take.
    pub upstream_seconds: u64,
    /// Seconds that judging one push may take, without the wait for a person.
    pub scan_seconds: u64,
    /// Seconds that a push waits for a person's answer (G5).
    pub hold_seconds: u64,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            pushes: 2,
            refs: 1000,
            pack_bytes: 1 << 30,
            objects: 1_000_000,
            object_bytes: 256 << 20,
            unpacked_bytes: 4 << 30,
            idle_seconds: 120,
            upstream_seconds: 600,
            scan_seconds: 600,
            hold_seconds: 300,
        }
    }
}
