//! The escape probe's plan and report (invariant 1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the probe inside a bottle has to check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// Inode number of the launcher's own network namespace: the bottle's must be another.
    pub host_network: u64,
    /// The mount points that the bottle may have; any other is a finding.
    pub mounts: Vec<String>,
    /// The Unix sockets that it may have: those that its ports are forwarded to.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// Addresses that must not be reachable.
    pub targets: Vec<Target>,
    /// Milliseconds that all attempts together may take; each target is tried at the same time.
    pub deadline_ms: u64,
    /// Whether the agent is meant to be root. It never is but in tests of what holds even then.
    #[serde(default)]
    pub root: bool,
}

/// Something that must not be reachable from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// How it is tried.
    pub kind: TargetKind,
    /// `address:port`; for `unix` a path; for `abstract` a name.
    pub address: String,
    /// What reaching it would mean: `the host's loopback`.
    pub why: String,
}

/// How a target is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A TCP connection.
    Tcp,
    /// A datagram; an answer counts, and so does having been able to send one to anything but loopback.
    Udp,
    /// A DNS question over UDP, which counts like any datagram.
    Dns,
    /// A connection to a Unix socket by path.
    Unix,
    /// A connection to an abstract Unix socket.
    Abstract,
}

/// What the probe found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Everything that must not be so; a launch goes on only when this is empty.
    pub findings: Vec<Finding>,
    /// How many targets were tried. Zero when the structure was already wrong: a bottle that has a way out must not
    /// be used to send anything there.
    pub attempted: usize,
}

/// One thing that must not be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// What was found.
    pub detail: String,
}

/// The probe's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// An interface other than `lo`.
    Interface,
    /// A route other than to `lo`.
    Route,
    /// The network namespace is the host's.
    Namespace,
    /// A resolver is configured.
    Resolver,
    /// A mount that was not asked for.
    Mount,
    /// A Unix socket in the file system.
    Socket,
    /// A descriptor that was inherited.
    Descriptor,
    /// A capability, a missing seccomp filter, the root user, or privileges that can be gained.
    Privilege,
    /// A writable kernel setting.
    Kernel,
    /// A target was reached.
    Reached,
    /// A check could not be made, which counts as failed.
    Unchecked,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
