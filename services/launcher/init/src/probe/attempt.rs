//! Trying to reach what must not be reachable, everything at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use boundary::probe::{Check, Finding, ProbePlan, Target, TargetKind};

/// What is sent where something must be sent.
const DATAGRAM: &[u8] = b"bot-bottle probe";
/// A question for the address of `probe.invalid`, a name that cannot exist (RFC 6761).
const QUESTION: &[u8] =
    b"\x42\x42\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05probe\x07invalid\x00\x00\x01\x00\x01";

/// Tries every target of the plan; returns those that were reached.
pub(super) fn all(plan: &ProbePlan) -> Vec<Finding> {
    let limit = Duration::from_millis(plan.deadline_ms.max(1));
    std::thread::scope(|scope| {
        let tries: Vec<_> = plan
            .targets
            .iter()
            .map(|target| {
                (target, std::thread::Builder::new().spawn_scoped(scope, move || reached(target, limit)))
            })
            .collect();
        tries.into_iter().filter_map(|(target, result)| judge(target, result)).collect()
    })
}

type Spawned<'scope> = io::Result<std::thread::ScopedJoinHandle<'scope, Result<bool, String>>>;

fn judge(target: &Target, attempt: Spawned<'_>) -> Option<Finding> {
    let name = format!("{:?} {} ({})", target.kind, target.address, target.why).to_lowercase();
    let outcome = attempt
        .map_err(|e| e.to_string())
        .and_then(|thread| thread.join().unwrap_or_else(|_| Err("the attempt panicked".to_owned())));
    match outcome {
        Ok(false) => None,
        Ok(true) => Some(Finding { check: Check::Reached, detail: format!("{name} was reached") }),
        Err(e) => {
            Some(Finding { check: Check::Unchecked, detail: format!("{name} could not be tried: {e}") })
        }
    }
}

/// Whether the target was reached; an error when it could not even be tried.
fn reached(target: &Target, limit: Duration) -> Result<bool, String> {
    let internet = || target.address.parse::<SocketAddr>().map_err(|e| e.to_string());
    Ok(match target.kind {
        TargetKind::Tcp => {
            let stream = TcpStream::connect_timeout(&internet()?, limit);
            stream.is_ok_and(|stream| !is_itself(stream.local_addr(), stream.peer_addr()))
        }
        TargetKind::Udp => datagram(internet()?, DATAGRAM, limit).unwrap_or(false),
        TargetKind::Dns => datagram(internet()?, QUESTION, limit).unwrap_or(false),
        TargetKind::Unix => UnixStream::connect(&target.address).is_ok(),
        TargetKind::Abstract => {
            let address = UnixAddress::from_abstract_name(&target.address).map_err(|e| e.to_string())?;
            UnixStream::connect_addr(&address).is_ok()
        }
    })
}

/// Whether a socket was given the very port that it wants to reach, and so has reached itself.
fn is_itself(local: io::Result<SocketAddr>, peer: io::Result<SocketAddr>) -> bool {
    matches!((local, peer), (Ok(local), Ok(peer)) if local == peer)
}

/// A datagram that leaves for another host is an escape even when nobody answers.
fn datagram(to: SocketAddr, text: &[u8], limit: Duration) -> io::Result<bool> {
    let any = if to.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    if is_itself(socket.local_addr(), Ok(to)) {
        // The second socket is given another port, since the first still has this one.
        return datagram(to, text, limit);
    }
    socket.set_read_timeout(Some(limit))?;
    socket.send(text)?;
    Ok(!to.ip().is_loopback() || socket.recv(&mut [0; 512]).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_reaches_itself_has_reached_nobody() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = socket.local_addr().unwrap();
        socket.connect(own).unwrap();
        assert!(is_itself(socket.local_addr(), socket.peer_addr()));
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_itself(other.local_addr(), Ok(own)));
    }

    #[test]
    fn who_answers_is_reached() {
        let host = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = host.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (_, from) = host.recv_from(&mut [0; 64]).unwrap();
            host.send_to(b"here", from).unwrap();
        });
        assert!(datagram(address, DATAGRAM, Duration::from_secs(10)).unwrap());
        answering.join().unwrap();
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!datagram(silent.local_addr().unwrap(), DATAGRAM, Duration::from_millis(20)).unwrap());
    }
}
