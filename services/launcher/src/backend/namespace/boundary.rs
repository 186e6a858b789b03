//! One bottle's box with init in it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::chown;
use std::process::Stdio;

use futures::future::BoxFuture;
use handover::{Channel, ChannelError};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::Child;

use super::Namespace;
use super::agent_box::{self, AgentBox};
use super::launch::{self, BoxSpec, last_words};
use super::owned::{Owned, Process};
use super::spawner::Staged;
use super::stage::StagedTree;
use super::user::{Role, host_user};
use crate::backend::init::Init;
use crate::backend::placing::place;
use crate::backend::{ANSWER, BackendError, BottleFile, Boundary, BoundarySpec, INIT, Place, RunEnd};
use crate::limits::{self, Enforcement};
use crate::state::StateDir;
use crate::sys::BeforeExec;

/// A bottle that exists.
pub(super) struct NamespaceBoundary {
    state: StateDir,
    user: Option<u32>,
    child: Child,
    /// Init's process, on the host.
    init: OwnedFd,
    conversation: Init,
    listeners: Vec<OwnedFd>,
    mounts: Vec<String>,
    notes: Vec<String>,
    /// Bytes that the home may take.
    disk: u64,
    _staged: Staged,
}

/// Makes the boundary.
pub(super) async fn create(
    backend: &Namespace,
    spec: BoundarySpec,
) -> Result<NamespaceBoundary, BackendError> {
    let state = backend.config.state.of(&spec.bottle);
    let user = host_user(&spec.bottle, Role::Agent);
    let enforcement = limits::plan(&spec.limits, &backend.hierarchy, spec.bottle.as_str());
    let mut before = prepare(backend, &state, user, &enforcement)
        .map_err(BackendError::system("prepare the bottle's limits"))?;
    let staged = stage(backend, &spec, &state).await?;
    let (mut arguments, mounts) = agent_box::arguments(&AgentBox {
        bottle: &spec.bottle,
        system: &backend.system,
        user: backend.config.user,
        home: staged.paths[0].clone(),
        trust: staged.paths[1].clone(),
        init: staged.paths[2].clone(),
        programs: staged.paths[3..]
            .iter()
            .cloned()
            .zip(spec.programs.iter().map(|it| it.inside.clone()))
            .collect(),
        disk: spec.limits.disk,
        seccomp: &backend.seccomp,
    });
    let (info, info_writer) = io::pipe().map_err(BackendError::system("make a pipe"))?;
    arguments.push(["--info-fd", &info_writer.as_raw_fd().to_string()]);
    before.kept.push(info_writer.into());
    let bubblewrap = backend.config.bubblewrap.clone();
    let starting = format!("start {}", bubblewrap.display());
    let program = vec![INIT.to_owned()];
    let spec_box =
        BoxSpec { bubblewrap, arguments, program, user, before, stderr: Stdio::piped(), deadline: ANSWER };
    let (mut child, channel) =
        launch::start(&backend.spawner, spec_box).await.map_err(BackendError::system(starting))?;
    let (conversation, listeners) = greet(channel, spec.ports, &mut child).await?;
    let init = record(backend, &state, &child, info)
        .map_err(BackendError::system("find the bottle's init on the host"))?;
    Ok(NamespaceBoundary {
        state,
        user,
        child,
        init,
        conversation,
        listeners,
        mounts,
        notes: enforcement.notes,
        disk: spec.limits.disk.unwrap_or(limits::HOME),
        _staged: staged,
    })
}

/// Makes the bottle's directories and programs reachable for its box: home, trust, init, then those of the agent.
async fn stage(backend: &Namespace, spec: &BoundarySpec, state: &StateDir) -> Result<Staged, BackendError> {
    let mut staged = Staged { spawner: backend.spawner.clone(), paths: Vec::new() };
    let own = [state.home(), state.trust(), backend.config.init.clone()];
    let programs = spec.programs.iter().map(|program| program.host.clone());
    for (number, path) in own.into_iter().chain(programs).enumerate() {
        let reached = match StagedTree::open(format!("{}-{number}", spec.bottle), &path) {
            Ok(tree) => backend.spawner.stage(tree).await,
            Err(error) => Err(error),
        };
        let reached =
            reached.map_err(BackendError::system(format!("show {} to the bottle", path.display())))?;
        staged.paths.push(reached);
    }
    Ok(staged)
}

/// The first exchange with init, which shows that the box lives.
async fn greet(
    channel: Channel,
    ports: Vec<SocketAddr>,
    child: &mut Child,
) -> Result<(Init, Vec<OwnedFd>), BackendError> {
    match Init::greet(channel, ports).await {
        Err(BackendError::Channel { source: ChannelError::Closed, .. }) => {
            let stderr = last_words(child).await;
            Err(BackendError::Bubblewrap { what: "bottle".to_owned(), stderr })
        }
        greeted => greeted,
    }
}

/// Records and makes the control groups, and gives the agent its directories.
fn prepare(
    backend: &Namespace,
    state: &StateDir,
    user: Option<u32>,
    enforcement: &Enforcement,
) -> io::Result<BeforeExec> {
    if let Some(user) = user {
        chown(state.home(), Some(user), Some(user))?;
        chown(state.trust(), Some(user), Some(user))?;
    }
    let groups = launch::join_groups(backend, state, enforcement)?;
    Ok(BeforeExec { groups, limits: enforcement.own.clone(), ..BeforeExec::default() })
}

/// Learns which process init is, and records it and its box.
fn record(backend: &Namespace, state: &StateDir, child: &Child, info: io::PipeReader) -> io::Result<OwnedFd> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Info {
        child_pid: i32,
    }
    // Init has answered, so bubblewrap has written this long before; it may hold the pipe open.
    let mut values = serde_json::Deserializer::from_reader(info).into_iter::<Info>();
    let info = values.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let init = Pid::from_raw(info.child_pid).ok_or(io::ErrorKind::InvalidData)?;
    let descriptor = pidfd_open(init, PidfdFlags::empty())?;
    Owned::amend(&backend.records, state.path(), |owned| {
        for pid in child.id().map(u32::cast_signed).into_iter().chain([info.child_pid]) {
            owned.processes.push(Process::of(pid)?);
        }
        Ok(())
    })?;
    Ok(descriptor)
}

impl Boundary for NamespaceBoundary {
    fn take_listeners(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.listeners)
    }

    fn mounts(&self) -> Vec<String> {
        self.mounts.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&mut self) -> &mut Init {
        &mut self.conversation
    }

    fn place(&self, file: &BottleFile) -> io::Result<()> {
        let (root, mode) = match file.place {
            Place::Home => (self.state.home(), 0o600),
            Place::Trust => (self.state.trust(), 0o444),
        };
        place(&root, &file.path, &file.content, mode, self.user)
    }

    fn wait(&mut self) -> BoxFuture<'_, RunEnd> {
        Box::pin(async move {
            // bubblewrap says of a killed init what it says of a program that was killed: only init itself knows.
            drop(self.child.wait().await);
            self.conversation.end()
        })
    }

    fn filled(&self) -> BoxFuture<'static, String> {
        Box::pin(crate::disk::filled(self.state.home(), self.disk))
    }

    fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(self.init.as_fd(), signal);
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
    }
}
