//! Host names and addresses, parsed once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// A host name or an address in its one form: lower case, ASCII, no trailing dot, an IPv6 address without brackets.
/// It was only parsed: whether a bottle may reach it is another question (see [`crate::AllowedHost`]). Cloning is
/// cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Arc<str>);

/// Why a text is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// Nothing is there.
    #[error("the host is empty; give a name such as api.example.com")]
    Empty,
    /// Longer than DNS allows (RFC 1035, section 2.3.4).
    #[error("a host name has at most 253 characters, and 63 between two dots")]
    TooLong,
    /// International names arrive in their ASCII form or not at all.
    #[error("only ASCII is accepted; write an international name in its xn-- form")]
    NotAscii,
    /// A character or an empty label that no name has.
    #[error(
        "{0} is not a host name: labels of letters, digits, hyphens and underscores, joined by single dots"
    )]
    Name(String),
    /// An address in one of the forms that programs read differently.
    #[error("{0} looks like an address but is not in the usual form{1}")]
    Address(String, String),
}

impl Host {
    /// Parses a host as it stands in a URL, a `Host` header or a route, without a port; an IPv6 address may have
    /// its brackets. One trailing dot and upper case are taken away.
    ///
    /// # Errors
    /// For anything that is not exactly a DNS name or an address in its canonical form (RFC 5952 for IPv6; four
    /// plain decimal numbers for IPv4).
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        if text.is_empty() {
            return Err(InvalidHost::Empty);
        }
        if !text.is_ascii() {
            return Err(InvalidHost::NotAscii);
        }
        if text.contains(':') || text.starts_with('[') {
            return parse_v6(text);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > 253 {
            return Err(InvalidHost::TooLong);
        }
        check_labels(name)?;
        let name = name.to_ascii_lowercase();
        if ends_in_number(&name) && name.parse::<Ipv4Addr>().is_err() {
            return Err(InvalidHost::Address(
                name,
                "; write four decimal numbers, such as 192.0.2.1".to_owned(),
            ));
        }
        Ok(Self(name.into()))
    }

    /// The text, as it is compared and resolved.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// As it stands in a URL or a `Host` header: an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.0.contains(':') { format!("[{}]", self.0) } else { self.0.to_string() }
    }
}

fn parse_v6(text: &str) -> Result<Host, InvalidHost> {
    let bare =
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).to_ascii_lowercase();
    let shown = base::inert(text, 80);
    match bare.parse::<Ipv6Addr>() {
        Ok(address) if address.to_string() == bare => Ok(Host(bare.into())),
        Ok(address) => Err(InvalidHost::Address(shown, format!("; write {address}"))),
        Err(_) => Err(InvalidHost::Name(shown)),
    }
}

fn check_labels(name: &str) -> Result<(), InvalidHost> {
    for label in name.split('.') {
        if label.len() > 63 {
            return Err(InvalidHost::TooLong);
        }
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if label.is_empty() || !plain || label.starts_with('-') || label.ends_with('-') {
            return Err(InvalidHost::Name(base::inert(name, 80)));
        }
    }
    Ok(())
}

/// Whether programs that follow the WHATWG URL standard would read this name as an IPv4 address: its last label is
/// a decimal or hexadecimal number.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl FromStr for Host {
    type Err = InvalidHost;
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The `host` of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host and no other.
    Exact(Host),
    /// `*.NAME`: one or more labels in front of this name, never the name itself.
    Below(Host),
}

impl HostPattern {
    /// Parses the `host` of a route.
    ///
    /// # Errors
    /// A sentence for the person who wrote it, with what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(advice) = misplaced(text) {
            return Err(advice);
        }
        if let Some(name) = text.strip_prefix("*.") {
            let host = Host::parse(name).map_err(|error| error.to_string())?;
            if host.address().is_some() {
                return Err(format!("addresses have no names below them; write {host} alone"));
            }
            return Ok(Self::Below(host));
        }
        if let Some(name) = text.strip_prefix('.') {
            return Err(format!("write *.{} for the names below it", base::inert(name, 80)));
        }
        if text.contains('*') {
            return Err("the only wildcard is `*.` in front of a name, such as *.example.com".to_owned());
        }
        Host::parse(text).map(Self::Exact).map_err(|error| error.to_string())
    }

    /// Whether this pattern covers the host.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(name) => host
                .as_str()
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

/// What to write instead when a scheme, a path or a port stands in `host`.
fn misplaced(text: &str) -> Option<String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Some(format!(
            "a scheme does not belong here; write `host: {}` and, unless it is https, `scheme: {}`",
            base::inert(host, 80),
            base::inert(scheme, 20)
        ));
    }
    if let Some((host, _)) = text.split_once('/') {
        let host = base::inert(host, 80);
        return Some(format!(
            "a path does not belong here; write `host: {host}` and put the path under `matches`"
        ));
    }
    if let Some((host, port)) = text.split_once(':')
        && !port.contains(':')
        && !host.starts_with('[')
    {
        let (host, port) = (base::inert(host, 80), base::inert(port, 10));
        return Some(format!("a port does not belong here; write `host: {host}` and `port: {port}`"));
    }
    None
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.pad(host.as_str()),
            Self::Below(host) => write!(f, "*.{host}"),
        }
    }
}
