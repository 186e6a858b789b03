//! One sidecar in its box.

use std::io;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures::future::BoxFuture;
use handover::Channel;
use tokio::process::Child;

use super::Namespace;
use super::launch::{self, BoxSpec};
use super::owned::{Owned, Process};
use super::sidecar_box::{self, SidecarBox};
use super::sidecar_log::{self, SidecarLog};
use super::spawner::Staged;
use super::stage::StagedTree;
use super::user::{Role, host_user};
use crate::backend::{ANSWER, BackendError, Sidecar, SidecarSpec};
use crate::limits::{self, Enforcement};
use crate::state::StateDir;
use crate::sys::BeforeExec;

/// A sidecar that was started.
pub(super) struct NamespaceSidecar {
    name: &'static str,
    child: Child,
    channel: Option<Channel>,
    log: SidecarLog,
    notes: Vec<String>,
    _staged: Staged,
}

/// How long the last lines of a sidecar that has ended may take to be in its log.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Starts a sidecar. Its standard error goes to its log in the bottle's state directory.
pub(super) async fn start(backend: &Namespace, spec: SidecarSpec) -> Result<NamespaceSidecar, BackendError> {
    let state = backend.config.state.of(&spec.bottle);
    let user = host_user(&spec.bottle, Role::Sidecar);
    let doing = format!("start the {} sidecar of {}", spec.name, spec.bottle);
    let enforcement = limits::of_a_sidecar(&backend.hierarchy, &spec.bottle, (spec.name, spec.memory));
    let before = prepare(backend, &state, (&spec, user), &enforcement)
        .map_err(BackendError::system(doing.as_str()))?;
    let (log, stderr) = SidecarLog::open(state.log(spec.name), sidecar_log::MOST)
        .map_err(BackendError::system(doing.as_str()))?;
    let mut staged = Staged { spawner: backend.spawner.clone(), paths: Vec::new() };
    let program = show(&mut staged, &spec, "program", spec.program.clone()).await?;
    let spool = match spec.has_spool {
        true => Some(show(&mut staged, &spec, "spool", state.spool(spec.name)).await?),
        false => None,
    };
    let beside = match spec.beside.clone() {
        Some((name, path)) => Some((name, show(&mut staged, &spec, name, path).await?)),
        None => None,
    };
    let arguments = sidecar_box::arguments(&SidecarBox {
        name: spec.name,
        system: &backend.system,
        program,
        beside,
        spool,
        seccomp: &backend.seccomp,
    });
    let spec_box = BoxSpec {
        bubblewrap: backend.config.bubblewrap.clone(),
        arguments,
        program: vec![sidecar_box::program(spec.name)],
        user,
        before,
        stderr: Stdio::from(stderr),
        deadline: ANSWER,
    };
    let (child, channel) =
        launch::start(&backend.spawner, spec_box).await.map_err(BackendError::system(doing.as_str()))?;
    record(backend, &state, &child).map_err(BackendError::system(doing))?;
    let (name, notes) = (spec.name, enforcement.notes);
    Ok(NamespaceSidecar { name, child, channel: Some(channel), log, notes, _staged: staged })
}

/// Makes a file or directory of the host reachable for the box's user; returns where.
async fn show(
    staged: &mut Staged,
    spec: &SidecarSpec,
    what: &str,
    path: PathBuf,
) -> Result<PathBuf, BackendError> {
    let reached = match StagedTree::open(format!("{}-{}-{what}", spec.bottle, spec.name), &path) {
        Ok(tree) => staged.spawner.stage(tree).await,
        Err(error) => Err(error),
    };
    let shown = format!("show {} to the {} sidecar", path.display(), spec.name);
    let reached = reached.map_err(BackendError::system(shown))?;
    staged.paths.push(reached.clone());
    Ok(reached)
}

/// Records and makes the control groups, and gives the sidecar its directory.
fn prepare(
    backend: &Namespace,
    state: &StateDir,
    (spec, user): (&SidecarSpec, Option<u32>),
    enforcement: &Enforcement,
) -> io::Result<BeforeExec> {
    if let (Some(user), true) = (user, spec.has_spool) {
        chown(state.spool(spec.name), Some(user), Some(user))?;
    }
    let groups = launch::join_groups(backend, state, enforcement)?;
    Ok(BeforeExec { groups, limits: enforcement.own.clone(), ..BeforeExec::default() })
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
            let ended = self.child.wait().await;
            // Whoever looks into the log next finds its last words there.
            drop(tokio::time::timeout(LAST_LINES, self.log.end()).await);
            match ended {
                Ok(status) => format!("the {} sidecar ended ({status})", self.name),
                Err(error) => format!("the {} sidecar cannot be watched ({error})", self.name),
            }
        })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn kill(&mut self) {
        // It may have ended already, which is what was wanted.
        drop(self.child.start_kill());
    }
}
