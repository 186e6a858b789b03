//! The isolation backends of one launcher.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;

use crate::backend::docker::{self, AgentUser, Docker, DockerConfig};
use crate::backend::namespace::Namespace;
use crate::backend::{Backend, BackendError};
use crate::config::LauncherConfig;
use crate::identity;

/// The names of all backends that this release has.
pub const NAMES: [&str; 2] = [NAMESPACE, docker::NAME];
/// The backend that every Linux has.
pub(crate) const NAMESPACE: &str = "namespace";

/// How long a backend may take to say whether it works.
const LOOK: Duration = Duration::from_secs(5);

/// Backends, of which the first is used for whoever asks for none.
#[derive(Clone)]
pub struct Backends(Vec<Arc<dyn Backend>>);

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
        };
        let docker: Arc<dyn Backend> = Arc::new(Docker::new(docker, namespace.clone())?);
        let mut all = Self(vec![namespace, docker]);
        // A stable order: what is asked for comes first.
        all.0.sort_by_key(|backend| config.backend.as_deref().is_some_and(|first| backend.name() != first));
        Ok(all)
    }

    /// Only this one.
    #[must_use]
    pub fn only(backend: Arc<dyn Backend>) -> Self {
        Self(vec![backend])
    }

    /// The one of this name, or the first.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn named(&self, name: Option<&str>) -> Result<&Arc<dyn Backend>, BackendError> {
        let named = |backend: &&Arc<dyn Backend>| name.is_none_or(|name| backend.name() == name);
        self.0.iter().find(named).ok_or_else(|| {
            let names: Vec<_> = self.0.iter().map(|backend| backend.name()).collect();
            let doing = format!("use the backend {}", base::inert(name.unwrap_or_default(), 40));
            BackendError::Engine { doing, reason: format!("this launcher has {}", names.join(" and ")) }
        })
    }

    /// The names of those that work now, the first of them first.
    pub async fn working(&self) -> Vec<String> {
        let looks = self.0.iter().map(|backend| async {
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
        for backend in &self.0 {
            owned.extend(backend.list_owned().await?);
        }
        owned.sort();
        owned.dedup();
        Ok(owned)
    }

    /// Ends what any backend keeps for a commit.
    ///
    /// # Errors
    /// The first that cannot; all of them are asked.
    pub async fn unpin(&self, archive: &str) -> Result<(), BackendError> {
        let mut done = Ok(());
        for backend in &self.0 {
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
        for backend in &self.0 {
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
        for backend in &self.0 {
            done = done.and(backend.destroy(bottle).await);
        }
        done
    }
}
