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
    Ssh,
    /// `https://host[:port]/path`
    Https {
        /// `host[:port]`
        authority: String,
    },
}

impl Address {
    /// Whether it is reached by SSH.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        matches!(self, Self::Ssh)
    }

    /// `host[:port]` of an https address.
    #[must_use]
    pub fn authority(&self) -> &str {
        match self {
            Self::Ssh => "",
            Self::Https { authority } => authority,
        }
    }
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
        let (login, path) = match url.strip_prefix("ssh://") {
            Some(rest) => rest.split_once('/').ok_or(InvalidAddress::Form)?,
            None if url.contains("://") => return Err(InvalidAddress::Form),
            None => split_short(url)?,
        };
        let (user, host) = login.split_once('@').ok_or(InvalidAddress::Form)?;
        checked(&[user, host, path])?;
        Ok(Self::Ssh)
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
        for ssh in [
            "ssh://git@forge.example.org:2222/team/tools.git",
            "git@forge.example.org:team/tools",
            "git@[::1]:x",
        ] {
            assert_eq!(ssh.parse(), Ok(Address::Ssh), "{ssh}");
        }
        let https: Address = "https://forge.example.org:8443/team/tools".parse().unwrap();
        assert_eq!(https.authority(), "forge.example.org:8443");
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
        ] {
            assert_eq!(url.parse::<Address>(), Err(why), "{url}");
        }
    }
}
