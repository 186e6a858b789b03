//! What a launcher is told before it starts.

use std::path::PathBuf;
use std::time::Duration;

use manifest::settings::{BackendName, RuntimeName};
use manifest::{ByteSize, Home, Settings};
use telemetry::{Endpoint, UnusableEndpoint};

use crate::backend::AgentUser;
use crate::backend::docker::{EngineAddress, ImageChoice, RemoteEngine};
use crate::backend::namespace::NamespaceConfig;
use crate::host::HostEnvironment;
use crate::probe::ProbeTargets;
use crate::state::StateRoot;

/// A launcher's settings.
#[derive(Clone)]
pub struct LauncherConfig {
    /// The bot-bottle home.
    pub home: PathBuf,
    /// The directory with `bot-bottle-init` (or `static/bot-bottle-init`), `bot-bottle-egress` and the
    /// other sidecars.
    pub programs: PathBuf,
    /// The bubblewrap program.
    pub bubblewrap: PathBuf,
    /// The backend of who asks for none; [`BackendName::usual`] unless given.
    pub backend: Option<BackendName>,
    /// The container runtime of who asks for none; chosen by what works unless given.
    pub runtime: Option<RuntimeName>,
    /// What bottles of the `docker` backend are made of.
    pub images: ImageChoice,
    /// Where the sidecars find the bus: `nats://host:port`.
    pub bus_url: String,
    /// After how long of silence the bus gives a start request to somebody else; as in the queue's own settings.
    pub ack_wait: Duration,
    /// How often the launcher says that it lives.
    pub heartbeat: Duration,
    /// How many bottles run at the same time; further requests wait in the queue.
    pub concurrency: usize,
    /// How often a request is tried before it is given up.
    pub attempts: u64,
    /// Between SIGTERM and SIGKILL, unless a stop request says otherwise.
    pub grace: Duration,
    /// How many bytes of a bottle's output are published; the rest is cut, and said to be.
    pub output: u64,
    /// How many bytes the transcript of one session may have.
    pub transcript: u64,
    /// How many bytes the environment of one bottle may have to be committed.
    pub commit: u64,
    /// What the escape probe tries to reach.
    pub targets: ProbeTargets,
    /// The host's environment, for tokens and forwarded variables.
    pub environment: HostEnvironment,
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the launcher's setting {setting} is not valid: {rule}")]
pub struct InvalidConfig {
    setting: &'static str,
    rule: &'static str,
}

impl LauncherConfig {
    /// The defaults for a home, with the programs next to this one.
    #[must_use]
    pub fn new(home: PathBuf, programs: PathBuf, bus_url: String) -> Self {
        Self {
            home,
            programs,
            bubblewrap: PathBuf::from("/usr/bin/bwrap"),
            backend: None,
            runtime: None,
            images: ImageChoice::default(),
            bus_url,
            ack_wait: bus::layout::LAUNCHERS.ack_wait,
            heartbeat: Duration::from_secs(5),
            concurrency: 8,
            attempts: 3,
            grace: Duration::from_secs(10),
            output: 64 << 20,
            transcript: 1 << 30,
            commit: 4 << 30,
            targets: ProbeTargets::of_host(),
            environment: HostEnvironment::of_process(),
        }
    }

    /// The same with what the operator's settings say.
    #[must_use]
    pub fn with(mut self, settings: &Settings) -> Self {
        self.transcript = settings.transcript_limit.map_or(self.transcript, ByteSize::bytes);
        self.commit = settings.commit_limit.map_or(self.commit, ByteSize::bytes);
        self.backend = settings.backend.or(self.backend);
        self.runtime = settings.runtime.or(self.runtime);
        self.concurrency = settings.concurrency.map_or(self.concurrency, |most| most as usize);
        self.images.usual = settings.images.usual.clone().or(self.images.usual);
        self.images.extra_ca = settings.images.extra_ca(&self.home).or(self.images.extra_ca);
        self
    }

    /// Finds what can be known to be wrong without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let rules = [
            (self.home.is_absolute(), "home", "an absolute path"),
            (self.programs.is_absolute(), "programs", "an absolute path"),
            (self.bubblewrap.is_absolute(), "bubblewrap", "an absolute path"),
            (!self.ack_wait.is_zero(), "ack_wait", "more than nothing"),
            (!self.heartbeat.is_zero(), "heartbeat", "more than nothing"),
            ((1..=1000).contains(&self.concurrency), "concurrency", "1 to 1000"),
            (self.attempts >= 1, "attempts", "at least 1"),
            (self.transcript >= 1, "transcript", "at least a byte"),
            (self.commit >= 1, "commit", "at least a byte"),
        ];
        let broken = rules.into_iter().find(|(good, ..)| !good);
        broken.map_or(Ok(()), |(_, setting, rule)| Err(InvalidConfig { setting, rule }))
    }

    /// The namespace backend's part.
    #[must_use]
    pub fn namespace(&self) -> NamespaceConfig {
        NamespaceConfig {
            bubblewrap: self.bubblewrap.clone(),
            init: self.init(),
            state: self.state(),
            user: AgentUser::Ordinary,
        }
    }

    /// The Docker engine of this host.
    pub(crate) fn engine(&self) -> Result<EngineAddress, RemoteEngine> {
        EngineAddress::of(self.environment.get("DOCKER_HOST").map(base::Secret::expose))
    }

    /// Where spans go (E17), the launcher's own and its bottles'.
    pub(crate) fn collector(&self) -> Result<Option<Endpoint>, UnusableEndpoint> {
        Endpoint::of(|name| self.environment.get(name).map(|value| value.expose().to_owned()))
    }

    pub(crate) fn state(&self) -> StateRoot {
        StateRoot::below(&self.home)
    }

    pub(crate) fn manifest_home(&self) -> Home {
        Home::at(self.home.clone())
    }

    /// The statically linked init where it was built, which runs in any image; otherwise the one that runs here.
    pub(crate) fn init(&self) -> PathBuf {
        let linked = self.programs.join("static/bot-bottle-init");
        if linked.exists() { linked } else { self.programs.join("bot-bottle-init") }
    }

    pub(crate) fn egress(&self) -> PathBuf {
        self.programs.join("bot-bottle-egress")
    }

    pub(crate) fn door(&self) -> PathBuf {
        self.programs.join("bot-bottle-door")
    }

    pub(crate) fn gitgate(&self) -> PathBuf {
        self.programs.join("bot-bottle-gitgate")
    }

    pub(crate) fn deploy_keys(&self) -> PathBuf {
        self.programs.join("bot-bottle-deploy-keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_cannot_work() {
        let good = LauncherConfig::new("/home".into(), "/programs".into(), "nats://127.0.0.1:4222".into());
        assert_eq!(good.check(), Ok(()));
        for (bad, setting) in [
            (LauncherConfig { concurrency: 0, ..good.clone() }, "concurrency"),
            (LauncherConfig { home: "here".into(), ..good.clone() }, "home"),
            (LauncherConfig { attempts: 0, ..good }, "attempts"),
        ] {
            assert_eq!(bad.check().unwrap_err().setting, setting);
        }
    }
}
