//! One sidecar in its box.

use std::fs::File;
use std::io;
use std::os::unix::fs::chown;
use std::process::Stdio;

use futures::future::BoxFuture;
use handover::Channel;
use tokio::process::Child;

use super::launch::{self, BoxSpec};
use super::owned::{Owned, Process};
use super::sidecar_box::{self, SidecarBox};
use super::spawner::Staged;
use super::stage::StagedTree;
use super::user::{Role, host_user};
use super::{ANSWER, Namespace};
use crate::backend::{BackendError, Sidecar, SidecarSpec};
use crate::state::StateDir;
use crate::sys::BeforeExec;

/// A sidecar that was started.
pub(super) struct NamespaceSidecar {
    name: &'static str,
    child: Child,
    channel: Option<Channel>,
    _staged: Staged,
}

/// Starts a sidecar. Its standard error goes to its log in the bottle's state directory.
pub(super) async fn start(backend: &Namespace, spec: SidecarSpec) -> Result<NamespaceSidecar, BackendError> {
    let state = backend.config.state.of(&spec.bottle);
    let user = host_user(&spec.bottle, Role::Sidecar);
    let doing = format!("start the {} sidecar of {}", spec.name, spec.bottle);
    let log = prepare(&state, spec.name, user).map_err(BackendError::system(doing.as_str()))?;
    let mut staged = Staged { spawner: backend.spawner.clone(), paths: Vec::new() };
    for (what, path) in [("spool", state.spool(spec.name)), ("program", spec.program.clone())] {
        let reached = match StagedTree::open(format!("{}-{}-{what}", spec.bottle, spec.name), &path) {
            Ok(tree) => backend.spawner.stage(tree).await,
            Err(error) => Err(error),
        };
        let shown = format!("show {} to the {} sidecar", path.display(), spec.name);
        staged.paths.push(reached.map_err(BackendError::system(shown))?);
    }
    let arguments = sidecar_box::arguments(&SidecarBox {
        name: spec.name,
        system: &backend.system,
        spool: staged.paths[0].clone(),
        program: staged.paths[1].clone(),
        seccomp: &backend.seccomp,
    });
    let spec_box = BoxSpec {
        bubblewrap: backend.config.bubblewrap.clone(),
        arguments,
        program: vec![sidecar_box::program(spec.name)],
        user,
        before: BeforeExec { limits: crate::limits::of_a_sidecar(), ..BeforeExec::default() },
        stderr: Stdio::from(log),
        deadline: ANSWER,
    };
    let (child, channel) =
        launch::start(&backend.spawner, spec_box).await.map_err(BackendError::system(doing.as_str()))?;
    record(backend, &state, &child).map_err(BackendError::system(doing))?;
    Ok(NamespaceSidecar { name: spec.name, child, channel: Some(channel), _staged: staged })
}

fn prepare(state: &StateDir, name: &str, user: Option<u32>) -> io::Result<File> {
    if let Some(user) = user {
        chown(state.spool(name), Some(user), Some(user))?;
    }
    File::options().create(true).append(true).open(state.log(name))
}

fn record(backend: &Namespace, state: &StateDir, child: &Child) -> io::Result<()> {
    let Some(pid) = child.id() else { return Ok(()) };
    let process = Process::of(pid.cast_signed())?;
    Owned::amend(&backend.records, state.path(), |owned| {
        owned.processes.push(process);
        Ok(())
    })
}

impl Sidecar for NamespaceSidecar {
    fn take_channel(&mut self) -> Option<Channel> {
        self.channel.take()
    }

    fn wait(&mut self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.child.wait().await {
                Ok(status) => format!("the {} sidecar ended ({status})", self.name),
                Err(error) => format!("the {} sidecar cannot be watched ({error})", self.name),
            }
        })
    }

    fn kill(&mut self) {
        // It may have ended already, which is what was wanted.
        drop(self.child.start_kill());
    }
}
