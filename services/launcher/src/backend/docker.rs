//! The `docker` backend: a container on an engine of this host, without any network.
//!
//! The agent's container has only loopback, an image's read-only system, a home of its own, our seccomp filter and no
//! capability. Its init connects to a Unix socket that only this container sees and hands its listening sockets out there,
//! so that no Docker network is involved. The sidecars are those of the `namespace` backend.

mod address;
mod boundary;
mod container;
mod engine;
mod etc;
mod forward;
mod images;
mod owned;
mod pins;
mod profile;
mod runtime;
mod way;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use base::id::{LauncherId, Slug};
use bus::message::record::CommitImage;
use futures::future::BoxFuture;
use manifest::settings::RuntimeName;

pub use self::address::{EngineAddress, RemoteEngine};
use self::engine::Engine;
pub use self::images::ImageChoice;
pub(crate) use self::runtime::is_trial;
use super::namespace::Namespace;
use super::{
    AgentUser, Backend, BackendError, Boundary, BoundarySpec, Chosen, Progress, Sidecar, SidecarSpec, seccomp,
};
use crate::image::Source;
use crate::state::StateRoot;

/// The backend's name.
pub const NAME: &str = "docker";

/// What the backend works with.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// Where the engine listens.
    pub engine: Result<EngineAddress, RemoteEngine>,
    /// The init program, linked statically: it runs in any image.
    pub init: PathBuf,
    /// Where the bottles' state is.
    pub state: StateRoot,
    /// The home's lasting identity; containers are labelled with it.
    pub owner: LauncherId,
    /// What bottles are made of.
    pub images: ImageChoice,
    /// Who the agent is inside.
    pub user: AgentUser,
    /// What runs the containers of who asks for nothing; chosen by what works unless given.
    pub runtime: Option<RuntimeName>,
}

/// The backend.
pub struct Docker {
    config: DockerConfig,
    engine: Engine,
    images: images::Store,
    /// An engine passes over calls that its library does not know by name, so that init loads the filter once more.
    seccomp: Vec<Vec<u8>>,
    /// Whether gVisor works here, once that was tried.
    gvisor: runtime::Tried,
    /// Runs the sidecars.
    sidecars: Arc<Namespace>,
}

impl Docker {
    /// Gets ready; the engine is asked when it is needed.
    ///
    /// # Errors
    /// The architecture has no seccomp filter.
    pub fn new(config: DockerConfig, sidecars: Arc<Namespace>) -> Result<Self, BackendError> {
        let seccomp = seccomp::programs()
            .map_err(std::io::Error::other)
            .map_err(BackendError::system("compile the seccomp filter for this machine"))?;
        Ok(Self {
            engine: Engine::at(config.engine.clone()),
            images: images::Store::default(),
            config,
            seccomp,
            gvisor: runtime::Tried::default(),
            sidecars,
        })
    }
}

impl Docker {
    /// What decides about images.
    fn choice(&self) -> (&ImageChoice, &str, u32) {
        (&self.config.images, self.config.owner.as_str(), self.config.user.number())
    }
}

impl Backend for Docker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn works(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(self.engine.answers())
    }

    fn runtime(&self, wanted: Option<RuntimeName>) -> BoxFuture<'_, Result<Chosen, BackendError>> {
        Box::pin(runtime::choose(self, wanted.or(self.config.runtime)))
    }

    fn create(&self, spec: BoundarySpec) -> BoxFuture<'_, Result<Box<dyn Boundary>, BackendError>> {
        Box::pin(async move {
            let boundary = boundary::create(self, spec).await?;
            Ok(Box::new(boundary) as Box<dyn Boundary>)
        })
    }

    fn start_sidecar(&self, spec: SidecarSpec) -> BoxFuture<'_, Result<Box<dyn Sidecar>, BackendError>> {
        self.sidecars.start_sidecar(spec)
    }

    fn list_owned(&self) -> BoxFuture<'_, Result<Vec<Slug>, BackendError>> {
        Box::pin(async move {
            let mut owned = self.sidecars.list_owned().await?;
            owned.extend(owned::bottles(self).await?);
            owned.sort();
            owned.dedup();
            Ok(owned)
        })
    }

    fn destroy<'a>(&'a self, bottle: &'a Slug) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let (container, sidecars) =
                tokio::join!(owned::remove(self, bottle), self.sidecars.destroy(bottle));
            container.and(sidecars)
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            // Without an engine nothing can be looked for; what comes back with it is found by the next launcher.
            if self.engine.answers().await.is_err() {
                return Ok(());
            }
            self.images.sweep(&self.engine, self.choice()).await
        })
    }

    fn remove_kept<'a>(
        &'a self,
        archives: Option<&'a HashSet<String>>,
    ) -> BoxFuture<'a, Result<Vec<String>, BackendError>> {
        Box::pin(async move {
            // A home that never had a container needs no engine.
            if self.engine.answers().await.is_err() {
                return Ok(Vec::new());
            }
            let mut removed = match archives {
                Some(archives) => pins::remove_stale(self, archives).await?,
                None => Vec::new(),
            };
            removed.extend(self.images.remove_unused(&self.engine, self.choice()).await?);
            Ok(removed)
        })
    }

    fn pin<'a>(
        &'a self,
        bottle: &'a Slug,
        archive: &'a str,
    ) -> BoxFuture<'a, Result<Option<CommitImage>, BackendError>> {
        Box::pin(async move { pins::pin(self, bottle, archive).await.map(Some) })
    }

    fn rebuild<'a>(
        &'a self,
        archive: &'a str,
        source: Source,
        dockerfile: String,
    ) -> BoxFuture<'a, Result<CommitImage, BackendError>> {
        Box::pin(async move {
            let nobody = Progress::default();
            let built = self.images.agent(&self.engine, self.choice(), Some(&source), &nobody).await?;
            pins::keep(self, (built.id, built.name), archive, Some(dockerfile)).await
        })
    }

    fn unpin<'a>(&'a self, archive: &'a str) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            // Without an engine there is nothing to end; what comes back with it goes with a later cleanup.
            if self.engine.answers().await.is_err() { Ok(()) } else { pins::unpin(self, archive).await }
        })
    }

    fn has_image<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, BackendError>> {
        Box::pin(pins::has(self, id))
    }
}
