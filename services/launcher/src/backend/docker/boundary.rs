//! One bottle's container with init in it.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;

use base::id::Slug;
use bollard::errors::Error;
use bollard::query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use handover::Channel;
use manifest::settings::RuntimeName;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::container::{self, AgentContainer};
use super::engine::{self, QUICK, SLOW};
use super::etc::Etc;
use super::forward::{self, Outlets};
use super::way::{Arrived, Way};
use super::{Docker, owned, profile};
use crate::backend::init::Init;
use crate::backend::placing::place;
use crate::backend::{ANSWER, BackendError, BottleFile, Boundary, BoundarySpec, Place, RunEnd};
use crate::image::AgentImage;
use crate::limits;
use crate::state::StateDir;
use crate::sys;

/// A bottle that exists.
pub(super) struct DockerBoundary {
    state: StateDir,
    etc: Etc,
    user: u32,
    /// Init's process, on the host; readable when it has ended.
    init: AsyncFd<OwnedFd>,
    conversation: Init,
    listeners: Vec<OwnedFd>,
    sockets: Vec<String>,
    /// To init, where it does not get what its process on the host is sent.
    signals: Option<mpsc::Sender<Signal>>,
    mounts: Vec<String>,
    notes: Vec<String>,
    /// Bytes that the home may take.
    disk: u64,
    /// Ends the bottle when its engine is gone, and passes signals on.
    _tasks: JoinSet<()>,
}

/// Makes the boundary. What it made when it fails is removed by its labels.
pub(super) async fn create(docker: &Docker, spec: BoundarySpec) -> Result<DockerBoundary, BackendError> {
    let (images, wanted) = (&docker.images, spec.image.as_ref());
    let image = images.agent(&docker.engine, docker.choice(), wanted, &spec.progress).await?;
    create_from(docker, spec, image).await
}

/// The same, of that image.
pub(super) async fn create_from(
    docker: &Docker,
    spec: BoundarySpec,
    image: AgentImage,
) -> Result<DockerBoundary, BackendError> {
    let state = docker.config.state.of(&spec.bottle);
    let runtime = spec.runtime.unwrap_or(RuntimeName::Runc);
    let own = owned::directory(&docker.config, &spec.bottle);
    let (etc, user) = (Etc::below(&own), docker.config.user.number());
    let way = prepare(&own, (&state, &spec.bottle), &etc, user)
        .map_err(BackendError::system("prepare the bottle's files"))?;
    let outlets = (runtime == RuntimeName::Runsc).then(|| Outlets::open(&way, &spec.ports)).transpose();
    let outlets = outlets.map_err(BackendError::system("open the sockets of the bottle's ports"))?;
    let programs = spec.programs.iter().map(|it| (it.host.clone(), it.inside.to_string_lossy().into_owned()));
    let (body, mounts) = container::body(&AgentContainer {
        bottle: &spec.bottle,
        owner: &docker.config.owner,
        image: &image,
        user,
        limits: &spec.limits,
        home: state.home(),
        trust: state.trust(),
        way: way.directory().to_owned(),
        init: docker.config.init.clone(),
        shown: etc.mounts().into_iter().chain(programs).collect(),
        seccomp: &profile::profile(),
        runtime,
    });
    let id = start(docker, &spec.bottle, body).await?;
    let (channel, pid) = arrived(docker, (&id, runtime), &way).await?;
    let init = watched(pid).map_err(BackendError::system("watch the bottle's init"))?;
    let mut tasks = watch(docker, id.clone(), &init).await?;
    let sockets = outlets.as_ref().map(Outlets::paths).unwrap_or_default();
    let (conversation, listeners, signals) = match outlets {
        Some(Outlets { listeners, ports }) => {
            let (signals, waiting) = forward::signals();
            let engine = docker.engine.connected().await?.clone();
            tasks.spawn(forward::pass_signals(engine, id, waiting));
            let init = Init::forward(channel, docker.seccomp.clone(), ports).await?;
            (init, listeners, Some(signals))
        }
        None => {
            let (mut init, listeners) = Init::greet(channel, spec.ports).await?;
            init.confine(docker.seccomp.clone()).await?;
            (init, listeners, None)
        }
    };
    let disk = spec.limits.disk.unwrap_or(limits::HOME);
    let notes = spec.limits.disk.map(|_| limits::DISK_NOTE.to_owned()).into_iter().collect();
    Ok(DockerBoundary {
        state,
        etc,
        user,
        init,
        conversation,
        listeners,
        sockets,
        signals,
        mounts,
        notes,
        disk,
        _tasks: tasks,
    })
}

/// Gives the agent its directories, and writes what its container is shown of the backend's own.
fn prepare(own: &Path, (state, bottle): (&StateDir, &Slug), etc: &Etc, user: u32) -> io::Result<Way> {
    if rustix::process::geteuid().is_root() {
        chown(state.home(), Some(user), Some(user))?;
        chown(state.trust(), Some(user), Some(user))?;
    }
    DirBuilder::new().mode(0o700).create(own)?;
    etc.write(bottle, user)?;
    Way::open(own)
}

/// Makes the container and starts it; returns its id.
async fn start(
    docker: &Docker,
    bottle: &Slug,
    body: bollard::models::ContainerCreateBody,
) -> Result<String, BackendError> {
    let engine = &docker.engine;
    let options =
        CreateContainerOptionsBuilder::default().name(&container::name(&docker.config.owner, bottle)).build();
    let making = engine.connected().await?.create_container(Some(options), body);
    let made = engine.ask(format!("make the container of {bottle}"), SLOW, making).await?;
    let starting = engine.connected().await?.start_container(&made.id, None);
    engine.ask(format!("start the container of {bottle}"), SLOW, starting).await?;
    Ok(made.id)
}

/// Waits for the container's init, and makes sure that it is this one who has connected.
async fn arrived(
    docker: &Docker,
    (id, runtime): (&str, RuntimeName),
    way: &Way,
) -> Result<(Channel, Pid), BackendError> {
    let engine = &docker.engine;
    let refused = |reason: &str| {
        let doing = "reach the first process of the bottle".to_owned();
        BackendError::Engine { doing, reason: reason.to_owned() }
    };
    let looking = engine.connected().await?.inspect_container(id, None);
    let (arrived, found) = tokio::join!(
        tokio::time::timeout(ANSWER, way.accept(ANSWER)),
        engine.ask("look at the bottle's container", QUICK, looking)
    );
    let Arrived { channel, pid } = arrived
        .map_err(|_| {
            refused("it did not connect: the image cannot run it, or the engine is not on this host")
        })?
        .map_err(BackendError::system("take the connection of the bottle's init"))?;
    let state = found?.state.and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok());
    match (pid, state.and_then(Pid::from_raw)) {
        (Some(pid), Some(init)) if runtime == RuntimeName::Runc && pid == init => Ok((channel, pid)),
        // All processes in it are one of the engine's container, which ends as a whole.
        (Some(pid), Some(sandbox)) if runtime == RuntimeName::Runsc && forward::is_part_of(pid, id) => {
            Ok((channel, sandbox))
        }
        _ => Err(refused("somebody else connected in its place")),
    }
}

fn watched(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    sys::watched(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

/// Ends the bottle when the engine does: nobody else would hold it to its limits, and no command would find it.
async fn watch(docker: &Docker, id: String, init: &AsyncFd<OwnedFd>) -> Result<JoinSet<()>, BackendError> {
    let engine = docker.engine.connected().await?.clone();
    let init = init.get_ref().try_clone().map_err(BackendError::system("watch the engine"))?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let ended = std::pin::pin!(engine.wait_container(&id, Some(options))).next().await;
        let by_itself = match &ended {
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => true,
            Some(Err(error)) => engine::is_absent(error),
            None => false,
        };
        if !by_itself {
            tracing::warn!(container = id, "a bottle ends: its engine is gone");
            let _ = pidfd_send_signal(init, Signal::KILL);
        }
    });
    Ok(task)
}

impl Boundary for DockerBoundary {
    fn take_listeners(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.listeners)
    }

    fn mounts(&self) -> Vec<String> {
        self.mounts.clone()
    }

    fn sockets(&self) -> Vec<String> {
        self.sockets.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&mut self) -> &mut Init {
        &mut self.conversation
    }

    fn place(&self, file: &BottleFile) -> io::Result<()> {
        let user = rustix::process::geteuid().is_root().then_some(self.user);
        match file.place {
            Place::Home => place(&self.state.home(), &file.path, &file.content, 0o600, user),
            Place::Trust => {
                place(&self.state.trust(), &file.path, &file.content, 0o444, user)?;
                self.etc.fill(&file.path, &file.content)
            }
        }
    }

    fn wait(&mut self) -> BoxFuture<'_, RunEnd> {
        Box::pin(async move {
            // With init the kernel ends everything in the container.
            drop(self.init.readable().await);
            self.conversation.end()
        })
    }

    fn filled(&self) -> BoxFuture<'static, String> {
        Box::pin(crate::disk::filled(self.state.home(), self.disk))
    }

    fn signal(&self, signal: Signal) {
        match &self.signals {
            // With that many waiting it has been told.
            Some(signals) => drop(signals.try_send(signal)),
            None => drop(pidfd_send_signal(self.init.get_ref().as_fd(), signal)),
        }
    }

    fn kill(&self) {
        let _ = pidfd_send_signal(self.init.get_ref().as_fd(), Signal::KILL);
    }
}
