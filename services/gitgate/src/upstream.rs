//! The one way to upstream (G1): how `git` is told to reach it, and what is shown to it there. No key and no token is in a
//! file, an argument or the environment: programs that need one ask this process over a socket of its own.

pub mod address;
mod agent;
mod askpass;
mod key;
mod local;
mod sharing;
mod ssh;

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base::lifecycle::Lifecycle;
use handover::sidecar::Uplink;
use tokio::process::Command;

pub(crate) use askpass::SOCKET as ASKPASS_SOCKET;

use crate::config::{Access, RepoConfig};
use crate::git::Git;
use address::Address;
pub(crate) use sharing::Lease;
use sharing::Sharing;

/// The settings that `ssh` reads, beside the name by which this program becomes it.
pub(crate) const SSH_CONFIG: &str = "ssh_config";
/// A link to the real one.
pub(crate) const SSH_PROGRAM: &str = "program";

/// What all repositories' upstreams share.
pub(crate) struct Means<'a> {
    /// A directory of this process's own, for sockets and what `ssh` reads.
    pub(crate) run: &'a Path,
    /// This very program, which `git` starts for `ssh` and for a password (see [`crate::helper`]).
    pub(crate) helper: &'a Path,
    /// The `ssh` program.
    pub(crate) ssh: Option<&'a Path>,
    /// How the host's network is left.
    pub(crate) uplink: &'a Uplink,
    /// A file with every authority that is trusted, if it is not git's own choice.
    pub(crate) authorities: Option<&'a Path>,
}

/// One repository's upstream.
pub(crate) struct Upstream {
    url: String,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, OsString)>,
    sharing: Option<Arc<Sharing>>,
}

impl Upstream {
    /// Makes everything ready in a directory of its own, and serves what programs will ask for.
    ///
    /// # Errors
    /// An address, a host key or a private key that cannot be used; a directory that cannot be written.
    pub(crate) fn open(
        number: usize,
        repo: &RepoConfig,
        means: &Means<'_>,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        // Short, since the path of a socket may have no more than 107 bytes.
        let place = means.run.join(number.to_string());
        let made = std::fs::DirBuilder::new().mode(0o700).create(&place);
        made.with_context(|| format!("making {}", place.display()))?;
        let address: Address = repo.url.parse().with_context(|| format!("reading the url {}", repo.url))?;
        let url = repo.url.clone();
        match (&repo.access, address) {
            (Access::Ssh { host_key, key }, Address::Ssh(login)) => {
                let Some(program) = means.ssh else {
                    bail!("{url} is reached by SSH, and there is no ssh program");
                };
                let environment = ssh::prepare(&place, program, means.helper, host_key, key, life)?;
                let sharing = Some(Sharing::new(place, login, life));
                Ok(Self { url, settings: Vec::new(), environment, sharing })
            }
            (Access::Https { token }, Address::Https { authority }) => {
                let mut environment = Vec::new();
                if let Some(token) = token {
                    environment.push(("GIT_ASKPASS", call(&place, means.helper, "askpass")?.into()));
                    askpass::serve(&place, &authority, token.clone(), life)?;
                }
                Ok(Self { url, settings: https(means), environment, sharing: None })
            }
            (Access::Ssh { .. }, Address::Https { .. }) => {
                bail!("{url} is no SSH address, and has an SSH key")
            }
            (Access::Https { .. }, Address::Ssh(_)) => bail!("{url} is reached by SSH, and has no SSH key"),
        }
    }

    /// Connects, if calls can share a connection. It lives at least as long as what is returned.
    pub(crate) async fn connect(&self) -> Lease {
        match &self.sharing {
            Some(sharing) => sharing.lease().await,
            None => Lease::none(),
        }
    }

    /// Where it is, as `git` is told.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A call of `git` that may reach it.
    pub(crate) fn command(&self, git: &Git, repository: &Path) -> Command {
        let settings = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut command = git.command_with(repository, settings);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// How `git` reaches an HTTPS upstream.
fn https(means: &Means<'_>) -> Vec<(String, String)> {
    let mut settings = vec![
        ("credential.username".to_owned(), askpass::USER.to_owned()),
        // Less than a byte a second for that long: the connection is dead.
        ("http.lowSpeedLimit".to_owned(), "1".to_owned()),
        ("http.lowSpeedTime".to_owned(), "60".to_owned()),
    ];
    if let Some(proxy) = &means.uplink.proxy {
        settings.push(("http.proxy".to_owned(), proxy.url.clone()));
    }
    if let Some(authorities) = means.authorities {
        settings.push(("http.sslCAInfo".to_owned(), authorities.display().to_string()));
    }
    settings
}

/// A name for this program under which it does something else (see [`crate::helper`]).
fn call(place: &Path, helper: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = place.join(name);
    symlink(helper, &path).with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}
