//! The escape probe (invariant 1). Every address here was opened by the test itself.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use boundary::probe::{Check, ProbePlan, ProbeReport, Target, TargetKind};
use launcher::backend::AgentUser;
use launcher::probe::{ProbeError, ProbeTargets, probe};

use crate::support::{Host, init_program, on_each_backend, under_gvisor};

on_each_backend!(a_target_that_cannot_be_tried_fails_the_probe);

under_gvisor!(
    a_bottle_is_closed,
    what_can_be_reached_is_found,
    a_target_that_cannot_be_tried_fails_the_probe,
);

/// These for the agent of a host.
fn targets(host: &Host, targets: Vec<Target>) -> ProbeTargets {
    let targets = ProbeTargets::new(targets);
    if host.user == AgentUser::Root { targets.for_root() } else { targets }
}

pub(crate) async fn a_bottle_is_closed(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    // The launcher's own canaries: the host's loopback over TCP, UDP and IPv6, and its abstract sockets.
    probe(&mut bottle, &targets(&host, Vec::new())).await.unwrap();
    // Root is a finding, and the only one, unless it is meant.
    let begins = probe(&mut bottle, &ProbeTargets::canaries_only()).await.map_err(|error| error.to_string());
    let refusal = "the bottle is not closed: the agent would run as root (user ids 0\\t0\\t0\\t0); nothing was started in it";
    assert_eq!(begins, if host.user == AgentUser::Root { Err(refusal.to_owned()) } else { Ok(()) });
}

pub(crate) async fn what_can_be_reached_is_found(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    // The bottle's own proxy port stands for a hole: it listens, and the bottle reaches it.
    let target = |kind, address: &str| Target { kind, address: address.to_owned(), why: "a hole".to_owned() };
    let holes = vec![target(TargetKind::Tcp, "127.0.0.1:9099"), target(TargetKind::Tcp, "127.0.0.1:1")];
    let error = probe(&mut bottle, &targets(&host, holes)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bottle is not closed: tcp 127.0.0.1:9099 (a hole) was reached; nothing was started in it"
    );
}

async fn a_target_that_cannot_be_tried_fails_the_probe(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let target = Target { kind: TargetKind::Tcp, address: "nonsense".to_owned(), why: "x".to_owned() };
    let error = probe(&mut bottle, &ProbeTargets::new(vec![target])).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Found(text) if text.contains("could not be tried")), "{error}");
}

#[test]
fn a_wrong_structure_is_found_and_nothing_is_tried() {
    // On the host itself, outside of any bottle, everything is wrong.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let network = std::fs::metadata("/proc/self/ns/net").unwrap();
    let plan = ProbePlan {
        sockets: Vec::new(),
        host_network: std::os::unix::fs::MetadataExt::ino(&network),
        mounts: vec!["/".to_owned()],
        targets: vec![Target { kind: TargetKind::Tcp, address, why: "the host's loopback".to_owned() }],
        deadline_ms: 1000,
        root: false,
    };
    let mut init = Command::new(init_program())
        .arg("probe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    init.stdin.take().unwrap().write_all(&serde_json::to_vec(&plan).unwrap()).unwrap();
    let output = init.wait_with_output().unwrap();
    let report: ProbeReport = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<Check> = report.findings.iter().map(|finding| finding.check).collect();
    for check in [Check::Namespace, Check::Mount, Check::Privilege] {
        assert!(found.contains(&check), "{check:?} is not among {found:?}");
    }
    assert_eq!(report.attempted, 0);
    assert!(listener.accept().is_err(), "the probe connected although the structure was wrong");
}
