//! Step 5: the escape probe (invariant 1), from outside.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::time::Duration;

use boundary::order::Command;
use boundary::probe::{ProbePlan, ProbeReport, Target, TargetKind};

use crate::backend::{Boundary, INIT};

/// How long one attempt may take; they run at the same time, and inside a good bottle each fails at once.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long the whole probe may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Addresses that must not be reachable from any bottle, beside the canaries that the launcher opens itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeTargets {
    targets: Vec<Target>,
    root: bool,
}

impl ProbeTargets {
    /// None beside the canaries.
    #[must_use]
    pub fn canaries_only() -> Self {
        Self::default()
    }

    /// The ways out of an ordinary host: an address on the Internet over TCP, UDP and DNS in both address families,
    /// the metadata service, this host's gateway and resolvers. A bottle without a route cannot send to any of them,
    /// and the probe looks for routes before it tries.
    #[must_use]
    pub fn of_host() -> Self {
        let mut targets = vec![
            target(TargetKind::Tcp, "192.0.2.1:443", "direct TCP"),
            target(TargetKind::Udp, "192.0.2.1:443", "direct UDP"),
            target(TargetKind::Dns, "192.0.2.1:53", "direct DNS"),
            target(TargetKind::Tcp, "[2001:db8::1]:443", "direct IPv6"),
            target(TargetKind::Udp, "[2001:db8::1]:443", "direct UDP over IPv6"),
            target(TargetKind::Tcp, "169.254.169.254:80", "the metadata service"),
            target(TargetKind::Tcp, "[fd00:ec2::254]:80", "the metadata service over IPv6"),
        ];
        targets.extend(gateways().map(|ip| at(TargetKind::Tcp, ip, 80, "the host's gateway")));
        targets.extend(resolvers().map(|ip| at(TargetKind::Dns, ip, 53, "the host's resolver")));
        Self::new(targets)
    }

    /// Exactly these.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Self {
        Self { targets, root: false }
    }

    /// The same for an agent that is root, which otherwise is a finding of its own. No launch asks for it: tests look at what
    /// is closed even then.
    #[must_use]
    pub fn for_root(self) -> Self {
        Self { root: true, ..self }
    }
}

/// What the escape probe tries beside the canaries that the launcher opens for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProbeReach {
    /// The usual ways out of this host.
    #[default]
    Host,
    /// Nothing else: for tests, which aim only at what they opened.
    Canaries,
}

impl ProbeReach {
    /// The targets.
    #[must_use]
    pub fn targets(self) -> ProbeTargets {
        match self {
            Self::Host => ProbeTargets::of_host(),
            Self::Canaries => ProbeTargets::canaries_only(),
        }
    }
}

fn target(kind: TargetKind, address: &str, why: &str) -> Target {
    Target { kind, address: address.to_owned(), why: why.to_owned() }
}

fn at(kind: TargetKind, ip: IpAddr, port: u16, why: &str) -> Target {
    target(kind, &SocketAddr::new(ip, port).to_string(), why)
}

/// The gateways of the host's IPv4 routes; the kernel writes them as hexadecimal in its own byte order.
fn gateways() -> impl Iterator<Item = IpAddr> {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let fields = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned));
    let found: Vec<IpAddr> = fields
        .filter_map(|hex| u32::from_str_radix(&hex, 16).ok())
        .filter(|raw| *raw != 0)
        .map(|raw| Ipv4Addr::from(raw.to_ne_bytes()).into())
        .collect();
    found.into_iter()
}

fn resolvers() -> impl Iterator<Item = IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let found: Vec<IpAddr> =
        text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok()).collect();
    found.into_iter()
}

/// Why the probe does not let a bottle start.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Something is not as it must be.
    #[error("the bottle is not closed: {0}; nothing was started in it")]
    Found(String),
    /// The probe could not be run, which counts as failed.
    #[error("the escape probe could not be run: {0}")]
    NotRun(String),
}

/// Runs the probe inside a boundary in which no agent runs yet.
///
/// # Errors
/// [`ProbeError::Found`] names everything that was found.
pub async fn probe(boundary: &mut Box<dyn Boundary>, targets: &ProbeTargets) -> Result<(), ProbeError> {
    let canaries =
        Canaries::open().map_err(|e| ProbeError::NotRun(format!("no canary can be opened: {e}")))?;
    let mut all = targets.targets.clone();
    all.extend(canaries.targets().map_err(|e| ProbeError::NotRun(e.to_string()))?);
    let network = std::fs::metadata("/proc/self/ns/net").map_err(|e| ProbeError::NotRun(e.to_string()))?;
    let plan = ProbePlan {
        host_network: network.ino(),
        mounts: boundary.mounts(),
        sockets: boundary.sockets(),
        targets: all,
        deadline_ms: u64::try_from(ATTEMPT.as_millis()).unwrap_or(u64::MAX),
        root: targets.root,
    };
    let input = serde_json::to_string(&plan).map_err(|e| ProbeError::NotRun(e.to_string()))?;
    let argv = [INIT, "probe"].map(str::to_owned).to_vec();
    let command = Command { argv, env: std::collections::BTreeMap::new(), cwd: "/".to_owned() };
    let outcome = boundary.exec(command, input, DEADLINE).await;
    let outcome = outcome.map_err(|error| ProbeError::NotRun(base::error::chain(&error)))?;
    let report: ProbeReport = match outcome.code {
        Some(0) => serde_json::from_str(&outcome.stdout).map_err(|e| ProbeError::NotRun(e.to_string()))?,
        code => return Err(ProbeError::NotRun(format!("it ended with {code:?}"))),
    };
    verdict(&report, plan.targets.len(), &canaries.touched())
}

/// Passed only when nothing was found, every target was tried, and no canary heard anything.
fn verdict(report: &ProbeReport, targets: usize, touched: &[&str]) -> Result<(), ProbeError> {
    let mut found: Vec<String> =
        report.findings.iter().map(|finding| base::inert(&finding.detail, 300)).collect();
    found.extend(touched.iter().map(|canary| format!("{canary} heard from the bottle")));
    match (found.is_empty(), report.attempted == targets) {
        (true, true) => Ok(()),
        (true, false) => {
            Err(ProbeError::NotRun(format!("{} of {targets} targets were tried", report.attempted)))
        }
        (false, _) => Err(ProbeError::Found(found.join("; "))),
    }
}

/// Sockets on the host's loopback, open only while a probe runs. They are a second witness: what reaches them is
/// found even if the probe inside says nothing of it.
struct Canaries {
    tcp: Vec<TcpListener>,
    udp: UdpSocket,
    unix: UnixListener,
}

impl Canaries {
    fn open() -> io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        let mut tcp = vec![TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
        // A host without IPv6 has no such loopback to reach.
        tcp.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)));
        tcp.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        let name =
            UnixAddress::from_abstract_name(format!("bot-bottle-canary-{:016x}", rand::random::<u64>()))?;
        let unix = UnixListener::bind_addr(&name)?;
        unix.set_nonblocking(true)?;
        Ok(Self { tcp, udp, unix })
    }

    fn targets(&self) -> io::Result<Vec<Target>> {
        let mut targets = Vec::new();
        for listener in &self.tcp {
            targets.push(target(TargetKind::Tcp, &listener.local_addr()?.to_string(), "the host's loopback"));
        }
        targets.push(target(TargetKind::Udp, &self.udp.local_addr()?.to_string(), "the host's loopback"));
        let address = self.unix.local_addr()?;
        let name = String::from_utf8_lossy(address.as_abstract_name().unwrap_or_default()).into_owned();
        targets.push(target(TargetKind::Abstract, &name, "the host's abstract sockets"));
        Ok(targets)
    }

    fn touched(&self) -> Vec<&'static str> {
        let mut touched = Vec::new();
        if self.tcp.iter().any(|listener| listener.accept().is_ok()) {
            touched.push("a TCP port on the host's loopback");
        }
        if self.udp.recv(&mut [0; 1]).is_ok() {
            touched.push("a UDP port on the host's loopback");
        }
        if self.unix.accept().is_ok() {
            touched.push("an abstract socket of the host");
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boundary::probe::{Check, Finding};

    #[test]
    fn passes_only_when_everything_was_tried_and_nothing_found() {
        let finding = Finding { check: Check::Reached, detail: "tcp was reached".to_owned() };
        let report = |findings: &[Finding], attempted| ProbeReport { findings: findings.to_vec(), attempted };
        assert!(verdict(&report(&[], 3), 3, &[]).is_ok());
        assert!(matches!(verdict(&report(&[], 2), 3, &[]), Err(ProbeError::NotRun(_))));
        assert!(matches!(verdict(&report(&[finding], 3), 3, &[]), Err(ProbeError::Found(_))));
        assert!(matches!(verdict(&report(&[], 3), 3, &["x"]), Err(ProbeError::Found(_))));
    }
}
