//! Deploy keys that are registered for one launch (G8): noted before they are made, and taken back whatever happens.
//!
//! A program of its own talks to the forge, in a sidecar's box; the forge's token is in no other process. The note says
//! what may be registered and where the token is found. It is gone once the forge has confirmed that nothing is.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use base::Secret;
use base::id::Slug;
use handover::gitgate::{DeployKeyAnswer, DeployKeyHandover, DeployKeyOrder, GateAccess, GateRepo};
use manifest::{Repo, RepoKey};
use serde::{Deserialize, Serialize};

use super::secret::repository;
use crate::backend::{Backend, SidecarSpec};
use crate::config::LauncherConfig;
use crate::sidecar;
use crate::state::StateDir;
use crate::uplink::uplink;

/// The name of the program's box and log.
const NAME: &str = "deploy-keys";

/// One key that may be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The repository's name in the manifest.
    pub(crate) repo: String,
    /// Its address.
    url: String,
    /// The server's public key, for the gate.
    host_key: String,
    /// The forge's address, where the manifest gives it.
    api_url: Option<String>,
    /// The host's variable that holds the forge's token.
    forge_token_env: String,
}

/// Those of one bottle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leases(Vec<Lease>);

impl Leases {
    /// The keys that these repositories need.
    pub(crate) fn of(repos: &BTreeMap<String, Repo>) -> Self {
        let lease = |(name, repo): (&String, &Repo)| match (&repo.key, &repo.host_key) {
            (Some(RepoKey::Gitea { api_url, forge_token_env }), Some(host_key)) => Some(Lease {
                repo: name.clone(),
                url: repo.url.clone(),
                host_key: host_key.clone(),
                api_url: api_url.clone(),
                forge_token_env: forge_token_env.clone(),
            }),
            _ => None,
        };
        Self(repos.iter().filter_map(lease).collect())
    }

    /// Notes them, makes a key for each and registers it. What failed in the middle is taken back with the bottle.
    ///
    /// # Errors
    /// The repository, and why there is no key for it.
    pub(crate) async fn register(
        &self,
        (backend, config, bottle): (&dyn Backend, &LauncherConfig, &Slug),
        repos: &BTreeMap<String, Repo>,
    ) -> Result<Vec<(String, GateRepo)>, String> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let state = config.state().of(bottle);
        self.store(&state)
            .map_err(|error| format!("cannot note the deploy keys that are to be made: {error}"))?;
        let mut all = Vec::new();
        for lease in &self.0 {
            let answer = lease.order(DeployKeyOrder::Register, (backend, config, bottle)).await?;
            let DeployKeyAnswer::Registered { key } = answer else { return Err(lease.failed(answer)) };
            let access = GateAccess::Ssh { host_key: lease.host_key.clone(), key };
            all.extend(repos.get(&lease.repo).map(|repo| (lease.repo.clone(), repository(repo, access))));
        }
        Ok(all)
    }

    fn path(state: &StateDir) -> PathBuf {
        state.path().join("deploy-keys.json")
    }

    fn load(state: &StateDir) -> io::Result<Self> {
        match std::fs::read(Self::path(state)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn store(&self, state: &StateDir) -> io::Result<()> {
        let path = Self::path(state);
        std::fs::write(&path, serde_json::to_vec(self)?)?;
        std::fs::File::open(path)?.sync_all()
    }
}

/// Takes back every deploy key that a bottle may have at a forge, and forgets them. Doing it twice is harmless.
///
/// # Errors
/// One cannot be taken back; the note stays, and the text says what to do.
pub(crate) async fn revoke(
    backend: &dyn Backend,
    config: &LauncherConfig,
    bottle: &Slug,
) -> Result<(), String> {
    let state = config.state().of(bottle);
    let leases = Leases::load(&state)
        .map_err(|error| format!("cannot read which deploy keys {bottle} may have: {error}"))?;
    for lease in &leases.0 {
        match lease.order(DeployKeyOrder::Revoke, (backend, config, bottle)).await? {
            DeployKeyAnswer::Revoked => {}
            answer => return Err(lease.failed(answer)),
        }
    }
    match std::fs::remove_file(Leases::path(&state)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

impl Lease {
    /// Has the program do something at the forge.
    async fn order(
        &self,
        order: DeployKeyOrder,
        (backend, config, bottle): (&dyn Backend, &LauncherConfig, &Slug),
    ) -> Result<DeployKeyAnswer, String> {
        let failed = |reason: String| format!("{}: {reason}", self.what(&title(bottle)));
        let spec = SidecarSpec::new(bottle.clone(), NAME, config.deploy_keys());
        let handover = DeployKeyHandover {
            v: 1,
            order,
            url: self.url.clone(),
            api_url: self.api_url.clone(),
            token: self.token(config).map_err(failed)?,
            title: title(bottle),
            uplink: uplink(&config.environment).map_err(|error| failed(base::error::chain(&error)))?,
        };
        let answer = sidecar::ask(backend, config, spec, handover).await;
        answer.map_err(|error| failed(base::error::chain(&error)))
    }

    fn token(&self, config: &LauncherConfig) -> Result<Secret, String> {
        config.environment.get(&self.forge_token_env).cloned().ok_or_else(|| {
            format!(
                "the variable {} is not set where the launcher runs; set it there and start it again",
                self.forge_token_env
            )
        })
    }

    fn failed(&self, answer: DeployKeyAnswer) -> String {
        let reason = match answer {
            DeployKeyAnswer::Failed { reason } => base::inert(&reason, 500),
            DeployKeyAnswer::Registered { .. } | DeployKeyAnswer::Revoked => {
                "the program answered something else than was asked".to_owned()
            }
        };
        format!("the deploy key of {}: {reason}", self.repo)
    }

    fn what(&self, title: &str) -> String {
        format!("the deploy key {title:?} of {}", self.repo)
    }
}

/// What a bottle's keys are called at the forge, so that whoever finds one knows whose it is.
fn title(bottle: &Slug) -> String {
    format!("bot-bottle {bottle}")
}
