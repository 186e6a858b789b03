//! Where and how a route connects: `tls`, `allow_private`, `connect_to`.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::{bounded, is_text};
use crate::host::Host;
use crate::limit;
use crate::problem::{KeyPath, Problems};
use crate::route::{Route, Scheme};
use crate::token::is_rooted;

/// A host and a port to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a host and a port, such as forge.internal:3000, 127.0.0.1:8443 or [::1]:8443")]
pub struct InvalidHostPort;

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidHostPort)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(InvalidHostPort);
        }
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or(InvalidHostPort)?;
        Ok(Self { host: Host::parse(host).map_err(|_| InvalidHostPort)?, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.authority(), self.port)
    }
}

pub(super) fn check_connect_to(
    text: Option<&str>,
    at: &KeyPath,
    problems: &mut Problems,
) -> Option<HostPort> {
    match text?.parse() {
        Ok(target) => Some(target),
        Err(error) => {
            problems.push(at, InvalidHostPort::to_string(&error));
            None
        }
    }
}

pub(super) fn check_tls(route: &Route, at: &KeyPath, problems: &mut Problems) {
    let Some(tls) = &route.tls else { return };
    let at_tls = at.key("tls");
    if let Some(ca) = &tls.ca {
        let at = at_tls.key("ca");
        if is_text(ca, &at, problems) && !is_rooted(ca) {
            problems.push(&at, "name the file from the root or from the home: /path/to/ca.pem or ~/ca.pem");
        }
        if route.scheme == Scheme::Http {
            problems.push(&at, "scheme http has no TLS; leave one of the two out");
        }
    }
    if tls.passthrough {
        check_passthrough(route, at, problems);
    }
}

/// What goes through unseen can be neither matched, scanned nor given a credential.
fn check_passthrough(route: &Route, at: &KeyPath, problems: &mut Problems) {
    let given = [
        ("scheme: http", route.scheme == Scheme::Http),
        ("auth", route.auth.is_some()),
        ("matches", !route.matches.is_empty()),
        ("dlp", route.dlp.is_some()),
        ("git", route.git.is_some()),
        ("mount", route.mount.is_some()),
        ("tls.ca", route.tls.as_ref().is_some_and(|tls| tls.ca.is_some())),
    ];
    for (key, _) in given.iter().filter(|(_, given)| *given) {
        let message =
            format!("passthrough lets TLS through unseen, so `{key}` cannot hold; leave one of the two out");
        problems.push(&at.key("tls").key("passthrough"), message);
    }
}

pub(super) fn check_ranges(ranges: &[IpNet], at: &KeyPath, problems: &mut Problems) {
    bounded(ranges.len(), limit::RANGES, "ranges", at, problems);
    for (index, range) in ranges.iter().enumerate().take(limit::RANGES) {
        if range.prefix_len() == 0 {
            problems.push(&at.item(index), "this allows every address; name the ranges that the host is in");
        } else if range.trunc() != *range {
            let message = format!(
                "{range} has bits beyond its length; write {} or {}/{}",
                range.trunc(),
                range.addr(),
                { range.max_prefix_len() }
            );
            problems.push(&at.item(index), message);
        }
    }
}
