//! The real program, as the launcher starts it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use base::Secret;
use handover::Channel;
use handover::sidecar::{EgressHandover, EgressLimits, Listeners, SidecarAnswer, Uplink};
use http::Request;
use http_body_util::BodyExt;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;
use tempfile::TempDir;

use crate::agent::{self, Http1, Via, limited, read, readable};
use crate::origin::{HOST, Origin, Speaks, stream_of};
use crate::proxy::{policy, route, token};

pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct Sidecar {
    child: Child,
    channel: Option<Channel>,
    spool: TempDir,
}

impl Sidecar {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(set: impl FnOnce(&mut Command)) -> Self {
        let (ours, theirs) = Channel::pair(Duration::from_secs(60)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot-bottle-egress"));
        command.stdin(Stdio::from(OwnedFd::from(theirs.into_socket()))).stderr(Stdio::piped()).env_clear();
        set(&mut command);
        Self { child: command.spawn().unwrap(), channel: Some(ours), spool: tempfile::tempdir().unwrap() }
    }

    fn channel(&mut self) -> &mut Channel {
        self.channel.as_mut().unwrap()
    }

    fn hand_over(&mut self, origin: &Origin, routes: &[serde_json::Value]) -> SidecarAnswer {
        self.hand_over_with(origin, routes, EgressLimits::default())
    }

    pub(crate) fn hand_over_with(
        &mut self,
        origin: &Origin,
        routes: &[serde_json::Value],
        limits: EgressLimits,
    ) -> SidecarAnswer {
        let handover = EgressHandover {
            v: 1,
            bottle: "agent-abcde".parse().unwrap(),
            bus: None,
            revision: 1,
            policy: policy(routes),
            secrets: BTreeMap::from([("API_TOKEN".to_owned(), Secret::new(token()))]),
            canary: None,
            has_door: true,
            authorities: BTreeMap::from([("/origin.pem".to_owned(), origin.authority.clone())]),
            rules: None,
            uplink: Uplink::default(),
            spool: self.spool.path().to_owned(),
            metrics: None,
            trace: None,
            limits,
        };
        self.channel().send(&handover, &[]).unwrap();
        self.channel().receive().unwrap().0
    }

    pub(crate) fn serve(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let names = Listeners { names: vec!["proxy".to_owned()] };
        self.channel().send(&names, &[listener.as_fd()]).unwrap();
        assert_eq!(self.channel().receive::<SidecarAnswer>().unwrap().0, SidecarAnswer::Serving);
        listener.local_addr().unwrap()
    }

    async fn ended(&mut self) -> ExitStatus {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        readable(process).await;
        self.child.wait().unwrap()
    }

    /// The most memory that the process ever had, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_hundred_mebibytes_pass_both_ways_in_little_memory() {
    for speaks in [Speaks::TlsHttp1, Speaks::Tls] {
        let origin = Origin::start(speaks).await;
        let mut sidecar = Sidecar::start();
        let SidecarAnswer::Ready { certificate } = sidecar.hand_over(&origin, &[route(&origin, json!({}))])
        else {
            panic!("not ready")
        };
        let via = Via { address: sidecar.serve(), certificate: certificate.unwrap() };
        let mut agent = Http1::new(&via).await;
        assert_eq!(agent.get("/").await.0, 200);
        let before = sidecar.peak();
        let request = Request::get("/big/100").header("host", HOST).body(agent::empty()).unwrap();
        let mut body = agent.send(request).await.into_body();
        let mut received = 0;
        while let Some(frame) = limited(body.frame()).await {
            received += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
        }
        assert_eq!(received, 100 * MIB);
        let upload = BodyExt::boxed(stream_of(1600));
        let request = Request::post("/upload").header("host", HOST).body(upload).unwrap();
        assert_eq!(read(agent.send(request).await).await.0, 200);
        assert_eq!(origin.last().received, 100 * MIB);
        let grown = sidecar.peak() - before;
        assert!(grown < 20 * MIB, "the proxy grew by {} MiB", grown / MIB);
    }
}

#[tokio::test]
async fn it_ends_with_its_launcher_and_shows_its_secret_to_nobody() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut sidecar = Sidecar::start();
    let auth = json!({ "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let SidecarAnswer::Ready { certificate } = sidecar.hand_over(&origin, &[route(&origin, auth)]) else {
        panic!("not ready")
    };
    let via = Via { address: sidecar.serve(), certificate: certificate.unwrap() };
    assert_eq!(Http1::new(&via).await.get("/").await.0, 200);
    assert_eq!(origin.last().header("authorization").unwrap(), format!("Bearer {}", token()));
    for file in ["environ", "cmdline"] {
        // Its environment is closed to all but root.
        let Ok(text) = std::fs::read(format!("/proc/{}/{file}", sidecar.child.id())) else { continue };
        assert!(!String::from_utf8_lossy(&text).contains(&token()), "{file}");
    }
    sidecar.channel = None;
    assert!(sidecar.ended().await.success());
    let mut log = String::new();
    std::io::Read::read_to_string(&mut sidecar.child.stderr.take().unwrap(), &mut log).unwrap();
    assert!(!log.contains(&token()) && !log.contains("panicked"), "{log}");
    // Without a bus, what happened waits on disk.
    let spooled = std::fs::read_to_string(sidecar.spool.path().join("records")).unwrap();
    assert!(spooled.contains(r#""path":"/""#) && !spooled.contains(&token()), "{spooled}");
}

#[tokio::test]
async fn nobody_looks_into_its_memory() {
    // To root nothing is closed; so it runs as somebody else where that is possible.
    let is_root = rustix::process::geteuid().is_root();
    let mut sidecar = Sidecar::start_with(|command| {
        if is_root {
            command.uid(65534).gid(65534);
        }
    });
    std::fs::set_permissions(sidecar.spool.path(), Permissions::from_mode(0o777)).unwrap();
    let origin = Origin::start(Speaks::Tls).await;
    assert!(matches!(sidecar.hand_over(&origin, &[]), SidecarAnswer::Ready { .. }));
    // Of a process that is not dumpable the kernel gives the files to root (proc(5)).
    let place = format!("/proc/{}/mem", sidecar.child.id());
    assert_eq!(std::fs::metadata(&place).unwrap().uid(), 0);
}

#[tokio::test]
async fn what_an_agent_can_repeat_is_not_logged() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut sidecar = Sidecar::start();
    let SidecarAnswer::Ready { certificate } = sidecar.hand_over(&origin, &[route(&origin, json!({}))])
    else {
        panic!("not ready")
    };
    let via = Via { address: sidecar.serve(), certificate: certificate.unwrap() };
    for _ in 0..3 {
        crate::hostile::reset_in_a_row(&via).await;
    }
    sidecar.channel = None;
    assert!(sidecar.ended().await.success());
    let mut log = String::new();
    std::io::Read::read_to_string(&mut sidecar.child.stderr.take().unwrap(), &mut log).unwrap();
    assert!(!log.contains("h2::"), "{log}");
}

#[tokio::test]
async fn a_policy_that_it_cannot_run_is_refused_with_its_reason() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut sidecar = Sidecar::start();
    let unknown = route(&origin, json!({ "tls": { "ca": "/other.pem" } }));
    let SidecarAnswer::Failed { reason } = sidecar.hand_over(&origin, &[unknown]) else {
        panic!("it started")
    };
    assert!(reason.contains("tls.ca"), "{reason}");
    assert!(!sidecar.ended().await.success());
}
