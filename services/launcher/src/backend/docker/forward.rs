//! What is different where no descriptor leaves a container (gVisor): the sidecars accept on Unix sockets in the container's
//! way, to which init forwards what comes to the ports inside; who connected is told by control groups; and signals for init
//! go through the engine.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bollard::query_parameters::KillContainerOptionsBuilder;
use boundary::order::Forwarded;
use rustix::process::{Pid, Signal};
use tokio::sync::mpsc;

use super::way::Way;
use crate::backend::ANSWER;

/// Signals that wait for the engine.
const SIGNALS: usize = 8;

/// The sockets that a container's ports are forwarded to.
pub(super) struct Outlets {
    /// They listen outside.
    pub(super) listeners: Vec<OwnedFd>,
    /// For init.
    pub(super) ports: Vec<Forwarded>,
}

impl Outlets {
    /// Opens one for each port.
    ///
    /// # Errors
    /// One exists, or cannot be made.
    pub(super) fn open(way: &Way, ports: &[SocketAddr]) -> io::Result<Self> {
        let mut outlets = Self { listeners: Vec::new(), ports: Vec::new() };
        for address in ports {
            let (listener, socket) = way.outlet(&address.port().to_string())?;
            outlets.listeners.push(listener);
            outlets.ports.push(Forwarded { address: *address, socket });
        }
        Ok(outlets)
    }

    /// Their paths inside.
    pub(super) fn paths(&self) -> Vec<String> {
        self.ports.iter().map(|port| port.socket.clone()).collect()
    }
}

/// Whether a process is part of a container: gVisor connects for those inside by a process of its own, which the engine put
/// into the container's control groups. Their names hold the container's whole id, and only root makes groups there.
pub(super) fn is_part_of(pid: Pid, container: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_pid()));
    groups.is_ok_and(|groups| names(&groups, container))
}

/// Whether one of the groups, as `/proc/PID/cgroup` lists them, is that container's own.
fn names(groups: &str, container: &str) -> bool {
    let is_id = container.len() == 64 && container.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_container = |line: &str| {
        let path = line.splitn(3, ':').nth(2).unwrap_or_default();
        path.split('/').any(|part| {
            part == container
                || part.strip_suffix(".scope").is_some_and(|unit| unit.ends_with(&format!("-{container}")))
        })
    };
    is_id && groups.lines().any(of_container)
}

/// Passes signals on to a container's first process until nobody sends any more.
pub(super) async fn pass_signals(engine: bollard::Docker, id: String, mut signals: mpsc::Receiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        let options = KillContainerOptionsBuilder::default().signal(&signal.as_raw().to_string()).build();
        // One that is gone takes it silently; one that hangs is killed without the engine.
        let sent = tokio::time::timeout(ANSWER, engine.kill_container(&id, Some(options))).await;
        tracing::debug!(container = id, ?signal, sent = matches!(sent, Ok(Ok(()))), "a signal");
    }
}

/// Where signals are sent.
pub(super) fn signals() -> (mpsc::Sender<Signal>, mpsc::Receiver<Signal>) {
    mpsc::channel(SIGNALS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_own_group_counts() {
        let id = "0123456789abcdef".repeat(4);
        let other = "f".repeat(64);
        for group in [
            format!("9:name=systemd:/docker/{id}\n0::/\n"),
            format!("12:cpu:/\n0::/system.slice/docker-{id}.scope\n"),
            format!("1:pids:/engine-x/{id}/init"),
        ] {
            assert!(names(&group, &id), "{group}");
            assert!(!names(&group, &other), "{group}");
        }
        for group in [
            format!("9:name=systemd:/docker/{}", &id[..63]),
            format!("9:name={id}:/docker"),
            format!("0::/docker/x{id}"),
            format!("0::/docker/{id}.scope"),
            String::new(),
        ] {
            assert!(!names(&group, &id), "{group}");
        }
        assert!(!names("0::/\n", "") && !names("0::/docker/x", "x"));
    }
}
