//! The real `bot-bottle-gitgate`, started as the launcher starts it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use handover::Channel;
use handover::gitgate::{GateAccess, GateLimits, GateRepo, GitgateHandover};
use handover::sidecar::{Listeners, SidecarAnswer, Uplink};
use tempfile::TempDir;

use super::host::{BOTTLE, Host};
use super::sshd::Sshd;

pub(crate) struct Sidecar {
    process: Child,
    /// Its end is the gate's.
    channel: Channel,
    port: u16,
    _spool: TempDir,
}

impl Sidecar {
    /// Starts one with one repository, named `tools`.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub(crate) fn start(host: &Host, sshd: &Sshd, upstream: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("bot-bottle-gitgate");
        let (mut channel, theirs) = Channel::pair(Duration::from_secs(20))?;
        let process = Command::new(&program)
            .stdin(Stdio::from(OwnedFd::from(theirs.into_socket())))
            .stderr(Stdio::null())
            .env_clear()
            .spawn()
            .with_context(|| {
                format!("starting {}; build it first, in the same profile", program.display())
            })?;
        let spool = tempfile::tempdir()?;
        channel.send(&handover(host, sshd, upstream, &spool)?, &[])?;
        match channel.receive()?.0 {
            SidecarAnswer::Ready { .. } => {}
            other => bail!("the gate is not ready but says {other:?}"),
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        channel.send(&Listeners { names: vec!["git".to_owned()] }, &[listener.as_fd()])?;
        let SidecarAnswer::Serving = channel.receive()?.0 else { bail!("the gate does not serve") };
        Ok(Self { process, channel, port: listener.local_addr()?.port(), _spool: spool })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/tools", self.port)
    }

    /// Bytes that are resident at the most, since its start.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no such field")?;
        Ok(line.trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
    }
}

fn handover(host: &Host, sshd: &Sshd, upstream: &Path, spool: &TempDir) -> anyhow::Result<GitgateHandover> {
    let access = GateAccess::Ssh { host_key: sshd.host_key.clone(), key: sshd.key.clone() };
    let repo =
        GateRepo { url: sshd.url(upstream), access, refs: Default::default(), workflows: Default::default() };
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/gitleaks").canonicalize()?;
    Ok(GitgateHandover {
        v: 1,
        bottle: BOTTLE.parse()?,
        bus: host.access()?,
        revision: 1,
        repos: BTreeMap::from([("tools".to_owned(), repo)]),
        canary: None,
        rules: None,
        supervise: false,
        uplink: Uplink::default(),
        spool: spool.path().to_owned(),
        git: "/usr/bin/git".into(),
        gitleaks: tools,
        ssh: Some("/usr/bin/ssh".into()),
        trace: None,
        limits: GateLimits::default(),
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
