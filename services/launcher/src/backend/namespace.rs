//! The `namespace` backend: bubblewrap boxes on Linux.
//!
//! A bottle has its own user, process, mount, network, IPC, host name and control-group namespaces, a read-only
//! system, a private home, a seccomp filter and no capability. Its sidecars run in boxes of their own with the host's
//! network.

mod agent_box;
mod arguments;
mod boundary;
mod launch;
mod owned;
mod sidecar;
mod sidecar_box;
mod sidecar_log;
mod spawner;
mod stage;
mod system;
mod user;

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use base::id::Slug;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

use self::owned::Owned;
use self::spawner::Spawner;
use self::system::System;
use super::{AgentUser, Backend, BackendError, Boundary, BoundarySpec, Sidecar, SidecarSpec, seccomp};
use crate::limits::{Group, Hierarchy};
use crate::state::StateRoot;

/// What the backend works with.
#[derive(Clone, Debug)]
pub struct NamespaceConfig {
    /// The bubblewrap program.
    pub bubblewrap: PathBuf,
    /// The init program.
    pub init: PathBuf,
    /// Where the bottles' state is.
    pub state: StateRoot,
    /// Who the agent is inside.
    pub user: AgentUser,
}

/// The backend.
pub struct Namespace {
    config: NamespaceConfig,
    system: System,
    seccomp: Vec<Vec<u8>>,
    hierarchy: Hierarchy,
    spawner: Spawner,
    /// Held while a bottle's record on disk is changed.
    records: Mutex<()>,
}

impl Namespace {
    /// Gets ready to make boxes. Must be called inside a Tokio runtime, which then watches them. Every box ends when
    /// the value is dropped.
    ///
    /// # Errors
    /// The architecture has no seccomp filter, or the thread that starts boxes cannot be started.
    pub fn new(config: NamespaceConfig) -> Result<Self, BackendError> {
        let seccomp = seccomp::programs()
            .map_err(io::Error::other)
            .map_err(BackendError::system("compile the seccomp filter for this machine"))?;
        let spawner = Spawner::start(Handle::current())
            .map_err(BackendError::system("start the thread that starts boxes"))?;
        let hierarchy = crate::limits::choose(std::path::Path::new("/"));
        Ok(Self { config, system: System::find(), seccomp, hierarchy, spawner, records: Mutex::new(()) })
    }
}

impl Backend for Namespace {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn works(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        // What it needs was looked at before the launcher was built.
        Box::pin(std::future::ready(Ok(())))
    }

    fn create(&self, spec: BoundarySpec) -> BoxFuture<'_, Result<Box<dyn Boundary>, BackendError>> {
        Box::pin(async move {
            let boundary = boundary::create(self, spec).await?;
            Ok(Box::new(boundary) as Box<dyn Boundary>)
        })
    }

    fn start_sidecar(&self, spec: SidecarSpec) -> BoxFuture<'_, Result<Box<dyn Sidecar>, BackendError>> {
        Box::pin(async move {
            let sidecar = sidecar::start(self, spec).await?;
            Ok(Box::new(sidecar) as Box<dyn Sidecar>)
        })
    }

    fn list_owned(&self) -> BoxFuture<'_, Result<Vec<Slug>, BackendError>> {
        let list = || {
            let mut owned = Vec::new();
            for bottle in self.config.state.bottles()? {
                // Of a record that cannot be read it is only known that there is one.
                if !matches!(Owned::load(self.config.state.of(&bottle).path()), Ok(None)) {
                    owned.push(bottle);
                }
            }
            Ok(owned)
        };
        let listed = list().map_err(BackendError::system("list the bottles that have state"));
        Box::pin(std::future::ready(listed))
    }

    fn destroy<'a>(&'a self, bottle: &'a Slug) -> BoxFuture<'a, Result<(), BackendError>> {
        let state = self.config.state.of(bottle);
        Box::pin(async move {
            let removing = tokio::task::spawn_blocking(move || remove_left(state.path()));
            let removed = removing.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            removed.map_err(BackendError::system(format!("remove what is left of {bottle}")))
        })
    }
}

fn remove_left(state: &std::path::Path) -> io::Result<()> {
    let Some(owned) = Owned::load(state)? else { return Ok(()) };
    if owned.is_current() {
        owned.processes.iter().for_each(|process| process.kill());
        for path in owned.groups {
            Group::left_at(path).remove()?;
        }
    }
    Owned::forget(state)
}
