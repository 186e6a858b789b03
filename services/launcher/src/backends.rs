//! The isolation backends of one launcher.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;
use manifest::settings::BackendName;

use crate::backend::docker::{self, Docker, DockerConfig};
use crate::backend::namespace::Namespace;
use crate::backend::{AgentUser, Backend, BackendError};
use crate::config::LauncherConfig;
use crate::identity;

/// The names of all backends that this release has.
pub const NAMES: [&str; 2] = [NAMESPACE, docker::NAME];
/// The backend that every Linux has.
pub(crate) const NAMESPACE: &str = "namespace";

/// How long a backend may take to say whether it works.
const LOOK: Duration = Duration::from_secs(5);

/// Backends.
#[derive(Clone)]
pub struct Backends {
    all: Vec<Arc<dyn Backend>>,
    /// What the settings say.
    setting: Option<BackendName>,
}

impl Backends {
    /// Those of this release, as a launcher's settings want them. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// One that cannot be got ready, or the home's identity cannot be made.
    pub fn of(config: &LauncherConfig) -> Result<Self, BackendError> {
        let namespace = Arc::new(Namespace::new(config.namespace())?);
        let doing = format!("make the identity of the home {}", config.home.display());
        let owner = identity::lasting(&config.home).map_err(BackendError::system(doing))?;
        let docker = DockerConfig {
            engine: config.engine(),
            init: config.init(),
            state: config.state(),
            owner,
            images: config.images.clone(),
            user: AgentUser::Ordinary,
            runtime: config.runtime,
        };
        let docker: Arc<dyn Backend> = Arc::new(Docker::new(docker, namespace.clone())?);
        Ok(Self { all: vec![namespace, docker], setting: config.backend })
    }

    /// Only this one, which is the usual one too.
    #[must_use]
    pub fn only(backend: Arc<dyn Backend>) -> Self {
        let all = [BackendName::Namespace, BackendName::Docker];
        let setting = all.into_iter().find(|name| name.as_str() == backend.name());
        Self { all: vec![backend], setting }
    }

    /// The one that was asked for, or the usual one of a bottle that is made of an image, or of none.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn of_bottle(&self, asked: Option<&str>, has_image: bool) -> Result<&Arc<dyn Backend>, BackendError> {
        let name = asked.unwrap_or_else(|| BackendName::usual(self.setting, has_image).as_str());
        self.all.iter().find(|backend| backend.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.all.iter().map(|backend| backend.name()).collect();
            let doing = format!("use the backend {}", base::inert(name, 40));
            BackendError::Engine { doing, reason: format!("this launcher has {}", names.join(" and ")) }
        })
    }

    /// The names of those that work now.
    pub async fn working(&self) -> Vec<String> {
        let looks = self.all.iter().map(|backend| async {
            let works = tokio::time::timeout(LOOK, backend.works()).await.is_ok_and(|works| works.is_ok());
            works.then(|| backend.name().to_owned())
        });
        futures::future::join_all(looks).await.into_iter().flatten().collect()
    }

    /// The bottles of which something may still exist.
    ///
    /// # Errors
    /// The first backend that cannot look.
    pub async fn list_owned(&self) -> Result<Vec<Slug>, BackendError> {
        let mut owned = Vec::new();
        for backend in &self.all {
            owned.extend(backend.list_owned().await?);
        }
        owned.sort();
        owned.dedup();
        Ok(owned)
    }

    /// See [`Backend::sweep`].
    ///
    /// # Errors
    /// The first that cannot; all of them are asked.
    pub async fn sweep(&self) -> Result<(), BackendError> {
        let mut done = Ok(());
        for backend in &self.all {
            done = done.and(backend.sweep().await);
        }
        done
    }

    /// Ends what any backend keeps for a commit.
    ///
    /// # Errors
    /// The first that cannot; all of them are asked.
    pub async fn unpin(&self, archive: &str) -> Result<(), BackendError> {
        let mut done = Ok(());
        for backend in &self.all {
            done = done.and(backend.unpin(archive).await);
        }
        done
    }

    /// Removes what backends keep from one bottle to the next and nothing uses now; names it. See [`Backend::remove_kept`].
    ///
    /// # Errors
    /// The first backend that cannot.
    pub async fn remove_kept(&self, archives: Option<&HashSet<String>>) -> Result<Vec<String>, BackendError> {
        let mut removed = Vec::new();
        for backend in &self.all {
            removed.extend(backend.remove_kept(archives).await?);
        }
        Ok(removed)
    }

    /// Ends and removes what any backend made for a bottle.
    ///
    /// # Errors
    /// The first that cannot; all of them are asked.
    pub async fn destroy(&self, bottle: &Slug) -> Result<(), BackendError> {
        let mut done = Ok(());
        for backend in &self.all {
            done = done.and(backend.destroy(bottle).await);
        }
        done
    }
}
