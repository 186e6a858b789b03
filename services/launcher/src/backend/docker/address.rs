//! Where the engine is: behind a Unix socket of this host, or nowhere.

use std::path::{Path, PathBuf};

/// Where an engine listens that was not told otherwise.
const USUAL: &str = "/var/run/docker.sock";

/// An engine of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAddress(PathBuf);

/// An engine that cannot be used, whether or not it is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.problem(), Self::CURE)]
pub struct RemoteEngine(String);

impl RemoteEngine {
    /// What to do about it.
    pub const CURE: &str = "unset DOCKER_HOST, or set it to unix:// and the path of a local engine's socket";

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> String {
        let given = &self.0;
        format!(
            "DOCKER_HOST is {given}, and bottles run only on an engine of this host, since their sidecars take sockets over \
             from it"
        )
    }
}

impl EngineAddress {
    /// What `DOCKER_HOST` says; nothing and an empty text mean the usual place.
    ///
    /// # Errors
    /// [`RemoteEngine`]: anything but a Unix socket by its absolute path.
    pub fn of(docker_host: Option<&str>) -> Result<Self, RemoteEngine> {
        let Some(text) = docker_host.filter(|text| !text.is_empty()) else { return Ok(Self(USUAL.into())) };
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self(path.into())),
            _ => Err(RemoteEngine(base::inert(text, 80))),
        }
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_of_this_host_is_an_engine() {
        for (given, path) in
            [(None, USUAL), (Some(""), USUAL), (Some("unix:///run/user/7/d.sock"), "/run/user/7/d.sock")]
        {
            assert_eq!(EngineAddress::of(given).unwrap().path(), Path::new(path));
        }
        for given in
            ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://here", "npipe:////./pipe/x", "/run/d.sock"]
        {
            let error = EngineAddress::of(Some(given)).unwrap_err().to_string();
            assert!(error.contains(given) && error.contains("unset DOCKER_HOST"), "{error}");
        }
    }
}
