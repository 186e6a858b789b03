//! The real `bot-bottle-egress`, started as the launcher starts it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base::Secret;
use handover::Channel;
use handover::sidecar::{EgressHandover, EgressLimits, Listeners, SidecarAnswer, Uplink};
use serde_json::json;
use tempfile::TempDir;

use super::DOMAIN;
use super::child::Child;
use super::client::Way;

pub(crate) struct Sidecar {
    process: std::process::Child,
    /// Its end is the sidecar's.
    channel: Channel,
    address: std::net::SocketAddr,
    certificate: String,
    _spool: TempDir,
}

impl Sidecar {
    /// Starts one, with all default detectors on or with none, with a route to the origin, a credential, a rule, and a host that needs the system's authorities.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub(crate) fn start(origin: &Child, scans: bool) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("bot-bottle-egress");
        let (mut channel, theirs) = Channel::pair(Duration::from_secs(20))?;
        let process = Command::new(&program)
            .stdin(Stdio::from(OwnedFd::from(theirs.into_socket())))
            // A line for each request, as by default.
            .stderr(Stdio::null())
            .env_clear()
            .spawn()
            .with_context(|| {
                format!("starting {}; build it first, in the same profile", program.display())
            })?;
        let spool = tempfile::tempdir()?;
        channel.send(&handover(origin, scans, &spool)?, &[])?;
        let certificate = match channel.receive()?.0 {
            SidecarAnswer::Ready { certificate: Some(certificate) } => certificate,
            other => bail!("the sidecar is not ready but says {other:?}"),
        };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        channel.send(&Listeners { names: vec!["proxy".to_owned()] }, &[listener.as_fd()])?;
        let SidecarAnswer::Serving = channel.receive()?.0 else { bail!("the sidecar does not serve") };
        Ok(Self { process, channel, address: listener.local_addr()?, certificate, _spool: spool })
    }

    /// The way through it.
    ///
    /// # Errors
    /// Its certificate is none.
    pub(crate) fn way(&self, origin: &Child) -> anyhow::Result<Way> {
        Way::new(self.address, &self.certificate, origin, Some(self.process.id()))
    }

    /// A field of the process's status, in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
        let kibibytes: f64 = line.trim_start_matches(':').trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0)
    }
}

fn handover(origin: &Child, scans: bool, spool: &TempDir) -> anyhow::Result<EgressHandover> {
    let mut route = json!({
        "host": format!("*.{DOMAIN}"),
        "port": origin.address.port(),
        "connect_to": origin.address.to_string(),
        "allow_private": ["127.0.0.0/8"],
        "tls": { "ca": "/origin.pem" },
        "matches": [{ "paths": [{ "type": "prefix", "value": "/" }], "methods": ["GET", "POST"] }],
    });
    if scans {
        route["auth"] = json!({ "scheme": "Bearer", "token_ref": "TOKEN" });
    } else {
        // Answers on a route with a credential would be looked through for it.
        route["dlp"] = json!({ "outbound_detectors": false, "inbound_detectors": false });
    }
    let policy = json!({ "routes": [route, { "host": "www.example.org" }] });
    Ok(EgressHandover {
        v: 1,
        bottle: "bench-00000".parse()?,
        bus: None,
        revision: 1,
        policy: serde_json::from_value(policy)?,
        secrets: BTreeMap::from([("TOKEN".to_owned(), Secret::new("t".repeat(40)))]),
        canary: scans.then(|| Secret::new("c".repeat(20) + "9Qz7Lw3Xk5Vb1Nm8Rt2Y")),
        has_door: true,
        authorities: BTreeMap::from([("/origin.pem".to_owned(), origin.certificate.clone())]),
        rules: None,
        uplink: Uplink::default(),
        spool: spool.path().to_owned(),
        metrics: None,
        trace: None,
        // Every request is recorded, and without a bus the records of a whole run stay on disk.
        limits: EgressLimits { spool_bytes: 4 << 30, ..EgressLimits::default() },
    })
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
