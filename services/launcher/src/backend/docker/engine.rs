//! The engine, asked with deadlines.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::SystemInfo;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use tokio::sync::OnceCell;

use super::address::{EngineAddress, RemoteEngine};
use crate::backend::BackendError;

/// How long the engine may take to show that it lives.
const ALIVE: Duration = Duration::from_secs(10);
/// How long it may take for an answer that needs no work.
pub(super) const QUICK: Duration = Duration::from_secs(20);
/// And for making, starting or removing a container, while it does the same for many others.
pub(super) const SLOW: Duration = Duration::from_secs(120);
/// The oldest version of its interface that has everything: Docker 20.10.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// An engine, which may come and go.
pub(super) struct Engine {
    address: Result<EngineAddress, RemoteEngine>,
    connected: OnceCell<Docker>,
}

impl Engine {
    pub(super) fn at(address: Result<EngineAddress, RemoteEngine>) -> Self {
        Self { address, connected: OnceCell::new() }
    }

    /// Its interface, after a first look at the engine.
    ///
    /// # Errors
    /// There is none, or not one that bottles can run on.
    pub(super) async fn connected(&self) -> Result<&Docker, BackendError> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    /// Whether it answers now.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn answers(&self) -> Result<(), BackendError> {
        let docker = self.connected().await?;
        let doing = self.doing();
        self.answer(&doing, ALIVE, docker.ping()).await?.map(drop).map_err(|error| self.absent(&error))
    }

    /// What the engine answers within a time.
    ///
    /// # Errors
    /// It does not. What it answers may be an error of its own.
    pub(super) async fn answer<T>(
        &self,
        doing: &str,
        within: Duration,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, BackendError> {
        tokio::time::timeout(within, asked).await.map_err(|_| BackendError::Engine {
            doing: doing.to_owned(),
            reason: format!("the engine gave no answer within {} s", within.as_secs()),
        })
    }

    /// The same for whom any error is one.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(super) async fn ask<T>(
        &self,
        doing: impl Into<String>,
        within: Duration,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, BackendError> {
        let doing = doing.into();
        self.answer(&doing, within, asked).await?.map_err(|error| failed(doing, &error))
    }

    async fn connect(&self) -> Result<Docker, BackendError> {
        let doing = self.doing();
        let remote = |error: &RemoteEngine| {
            let doing = "use the Docker engine".to_owned();
            BackendError::Engine { doing, reason: error.to_string() }
        };
        let path = self.address.as_ref().map_err(remote)?.path().to_string_lossy();
        let docker = Docker::connect_with_unix(&path, SLOW.as_secs(), API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| self.absent(&error))?;
        let negotiated = self.answer(&doing, ALIVE, docker.negotiate_version()).await?;
        let docker = negotiated.map_err(|error| self.absent(&error))?;
        let (found, refused) =
            (docker.client_version(), |reason| Err(BackendError::Engine { doing: doing.clone(), reason }));
        if found < OLDEST {
            return refused(format!(
                "its interface is {found}, and {OLDEST} is needed: install Docker 20.10 or newer"
            ));
        }
        let info = self.ask(doing.clone(), QUICK, docker.info()).await?;
        unusable(&info).map_or(Ok(docker), refused)
    }

    fn doing(&self) -> String {
        let at = self.address.as_ref().map(|address| format!(" at {}", address.path().display()));
        format!("use the Docker engine{}", at.unwrap_or_default())
    }

    fn absent(&self, error: &Error) -> BackendError {
        let reason = match error {
            Error::SocketNotFoundError(_) => {
                "nothing listens there: start it, or name another with DOCKER_HOST".to_owned()
            }
            error => base::inert(&base::error::chain(error), 300),
        };
        BackendError::Engine { doing: self.doing(), reason }
    }
}

/// Why no bottle can run on an engine that says this of itself.
fn unusable(info: &SystemInfo) -> Option<String> {
    let options = info.security_options.iter().flatten();
    let has = |name: &str| {
        options.clone().any(|option| option.split(',').any(|part| part == format!("name={name}")))
    };
    let linux = info.os_type.as_deref().is_none_or(|os| os == "linux");
    let reason = match () {
        () if !linux => "it runs no Linux containers",
        () if has("rootless") => {
            "it is rootless, and a bottle's home would not be the agent's: use one that runs as root"
        }
        () if has("userns") => {
            "it maps users (userns-remap), and a bottle's home would not be the agent's: use one that does not"
        }
        () if !has("seccomp") => {
            "it has no seccomp, which closes the kernel to the agent: use one that was built with it"
        }
        () => return None,
    };
    Some(reason.to_owned())
}

/// A refusal of the engine, made harmless to show.
pub(super) fn failed(doing: String, error: &Error) -> BackendError {
    let said = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        error => base::error::chain(error),
    };
    BackendError::Engine { doing, reason: base::inert(said.trim(), 500) }
}

/// Whether the engine says that there is no such thing.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_hold_a_bottle_is_refused() {
        let info = |options: &[&str]| SystemInfo {
            security_options: Some(options.iter().map(|&option| option.to_owned()).collect()),
            ..SystemInfo::default()
        };
        let seccomp = "name=seccomp,profile=default";
        assert_eq!(unusable(&info(&[seccomp])), None);
        for (options, word) in [
            (vec![seccomp, "name=rootless"], "rootless"),
            (vec![seccomp, "name=userns"], "userns-remap"),
            (vec!["name=apparmor"], "no seccomp"),
        ] {
            assert!(unusable(&info(&options)).unwrap().contains(word), "{options:?}");
        }
        let windows = SystemInfo { os_type: Some("windows".to_owned()), ..info(&[seccomp]) };
        assert!(unusable(&windows).unwrap().contains("Linux"));
    }
}
