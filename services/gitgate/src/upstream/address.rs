//! Addresses of upstream repositories, as a manifest writes them.

use std::str::FromStr;

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Another form.
    #[error("write ssh://user@host[:port]/path, user@host:path or https://host[:port]/path")]
    Form,
    /// A program could take it for an option, or a reader for something else.
    #[error("it has a part that begins with a dash, or a blank or control character")]
    Part,
    /// A secret has another place.
    #[error("an https address carries no user and no password; name a token_ref")]
    Credentials,
}

/// An upstream's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `ssh://user@host[:port]/path`, or `user@host:path`.
    Ssh(Login),
    /// `https://host[:port]/path`
    Https {
        /// `host[:port]`
        authority: String,
    },
}

/// Where SSH logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `user@host`
    pub destination: String,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(url: &str) -> Result<Self, InvalidAddress> {
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) || url.starts_with('-') {
            return Err(InvalidAddress::Part);
        }
        if let Some(rest) = url.strip_prefix("https://") {
            let (authority, path) = rest.split_once('/').ok_or(InvalidAddress::Form)?;
            if authority.contains('@') {
                return Err(InvalidAddress::Credentials);
            }
            checked(&[authority, path])?;
            return Ok(Self::Https { authority: authority.to_owned() });
        }
        let (login, path, has_port) = match url.strip_prefix("ssh://") {
            Some(rest) => {
                let (login, path) = rest.split_once('/').ok_or(InvalidAddress::Form)?;
                (login, path, true)
            }
            None if url.contains("://") => return Err(InvalidAddress::Form),
            None => {
                let (login, path) = split_short(url)?;
                (login, path, false)
            }
        };
        let (user, host) = login.split_once('@').ok_or(InvalidAddress::Form)?;
        let (host, port) = if has_port { split_port(host)? } else { (host, None) };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        checked(&[user, host, path])?;
        Ok(Self::Ssh(Login { destination: format!("{user}@{host}"), port }))
    }
}

/// `host:port`, where the host may be an IPv6 address in brackets.
fn split_port(host: &str) -> Result<(&str, Option<u16>), InvalidAddress> {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            Ok((name, Some(port.parse().map_err(|_| InvalidAddress::Form)?)))
        }
        _ => Ok((host, None)),
    }
}

/// `user@host:path`, where the host may be an IPv6 address in brackets.
fn split_short(url: &str) -> Result<(&str, &str), InvalidAddress> {
    let end_of_host = url.find("]:").map_or_else(|| url.find(':'), |at| Some(at + 1));
    let at = end_of_host.ok_or(InvalidAddress::Form)?;
    Ok((&url[..at], &url[at + 1..]))
}

fn checked(parts: &[&str]) -> Result<(), InvalidAddress> {
    if parts.iter().any(|part| part.is_empty()) {
        return Err(InvalidAddress::Form);
    }
    if parts.iter().any(|part| part.starts_with('-')) { Err(InvalidAddress::Part) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_for_a_reason() {
        for (ssh, destination, port) in [
            ("ssh://git@forge.example.org:2222/team/tools.git", "git@forge.example.org", Some(2222)),
            ("ssh://git@[2001:db8::1]/x", "git@2001:db8::1", None),
            ("git@forge.example.org:team/tools", "git@forge.example.org", None),
            ("git@[::1]:x", "git@::1", None),
        ] {
            let login = Login { destination: destination.to_owned(), port };
            assert_eq!(ssh.parse(), Ok(Address::Ssh(login)), "{ssh}");
        }
        let authority = "forge.example.org:8443".to_owned();
        assert_eq!("https://forge.example.org:8443/team/tools".parse(), Ok(Address::Https { authority }));
        for (url, why) in [
            ("http://forge.example.org/x", InvalidAddress::Form),
            ("file:///srv/x", InvalidAddress::Form),
            ("ext::sh -c x", InvalidAddress::Part),
            ("forge.example.org", InvalidAddress::Form),
            ("https://forge.example.org", InvalidAddress::Form),
            ("https://me@forge.example.org/x", InvalidAddress::Credentials),
            ("ssh://-oProxyCommand=x/y", InvalidAddress::Form),
            ("ssh://git@-oProxyCommand=x/y", InvalidAddress::Part),
            ("git@host:-x", InvalidAddress::Part),
            ("-x@host:path", InvalidAddress::Part),
            ("ssh://git@host:port/x", InvalidAddress::Form),
        ] {
            assert_eq!(url.parse::<Address>(), Err(why), "{url}");
        }
    }
}
