//! What the operator of this host says about the network that it is in.

use std::path::PathBuf;

use handover::sidecar::{Uplink, UplinkProxy};

use crate::host::HostEnvironment;

/// The variable with `http://host:port` of the proxy that leads out of the network.
const PROXY: &str = "BOT_BOTTLE_UPSTREAM_PROXY";
/// The variable that says who resolves names: `host`, as without it, or `proxy`.
const RESOLVER: &str = "BOT_BOTTLE_UPSTREAM_RESOLVER";
/// The variable with the file (PEM) of further authorities.
const AUTHORITIES: &str = "BOT_BOTTLE_UPSTREAM_CA";

/// A setting that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableUplink {
    #[error("cannot read {}, which {AUTHORITIES} names", .0.display())]
    Authorities(PathBuf, #[source] std::io::Error),
    #[error("{RESOLVER} is neither `host` nor `proxy`")]
    Resolver,
}

/// Reads the operator's settings. They are the host's: no bottle can change them.
///
/// # Errors
/// A file that cannot be read, or a word that means nothing.
pub(crate) fn uplink(environment: &HostEnvironment) -> Result<Uplink, UnusableUplink> {
    let value = |name| environment.get(name).map(|value| value.expose()).filter(|value| !value.is_empty());
    let resolves = match value(RESOLVER) {
        None | Some("host") => false,
        Some("proxy") => true,
        Some(_) => return Err(UnusableUplink::Resolver),
    };
    let proxy = value(PROXY).map(|url| UplinkProxy { url: url.to_owned(), resolves });
    let read = |path: &str| {
        let path = environment.expand(path.as_ref());
        std::fs::read_to_string(&path).map_err(|error| UnusableUplink::Authorities(path, error))
    };
    Ok(Uplink { proxy, authorities: value(AUTHORITIES).map(read).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Uplink, UnusableUplink> {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        uplink(&pairs.collect())
    }

    #[test]
    fn the_variables_say_it_or_nothing_is_set() {
        assert_eq!(of(&[]).unwrap(), Uplink::default());
        assert_eq!(of(&[(PROXY, ""), (AUTHORITIES, "")]).unwrap(), Uplink::default());
        for (resolver, resolves) in [("host", false), ("proxy", true)] {
            let found = of(&[(PROXY, "http://proxy.example:3128"), (RESOLVER, resolver)]).unwrap();
            let url = "http://proxy.example:3128".to_owned();
            assert_eq!(found, Uplink { proxy: Some(UplinkProxy { url, resolves }), authorities: None });
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("ca.pem"), "pem").unwrap();
        let at_home = ("HOME", home.path().to_str().unwrap());
        assert_eq!(of(&[at_home, (AUTHORITIES, "~/ca.pem")]).unwrap().authorities.unwrap(), "pem");
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        assert!(of(&[(RESOLVER, "me")]).unwrap_err().to_string().contains("`host` nor `proxy`"));
        let missing = of(&[(AUTHORITIES, "/nowhere/ca.pem")]).unwrap_err().to_string();
        assert_eq!(missing, "cannot read /nowhere/ca.pem, which BOT_BOTTLE_UPSTREAM_CA names");
    }
}
