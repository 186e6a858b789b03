//! The one thread that starts boxes.
//!
//! bubblewrap's `--die-with-parent` is tied to the *thread* that started it, so this thread lives exactly as long as
//! the backend: when the launcher dies, or the backend is dropped, the kernel ends every box.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::stage::{Stage, StagedTree};
use crate::sys;

/// A box to start.
pub(super) struct Job {
    /// bubblewrap with its descriptors arranged.
    pub(super) command: Command,
    /// What to arrange between fork and exec.
    pub(super) before: sys::BeforeExec,
}

enum Order {
    Stage(StagedTree, oneshot::Sender<io::Result<PathBuf>>),
    Unstage(PathBuf),
    Start(Box<Job>, oneshot::Sender<io::Result<tokio::process::Child>>),
}

/// The handle of that thread. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
}

impl Spawner {
    /// Starts the thread. Children are watched by the runtime that `runtime` belongs to.
    ///
    /// # Errors
    /// No thread can be started, or as root the staging area cannot be made.
    pub(super) fn start(runtime: Handle) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        std::thread::Builder::new().name("boxes".to_owned()).spawn(move || {
            let stage = match Stage::enter() {
                Ok(stage) => stage,
                Err(error) => return drop(ready.send(Err(error))),
            };
            drop(ready.send(Ok(())));
            serve(&inbox, &stage, &runtime);
        })?;
        is_ready.recv().map_err(|_| gone())??;
        Ok(Self { orders })
    }

    /// Starts a box.
    pub(super) async fn spawn(&self, job: Job) -> io::Result<tokio::process::Child> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Start(Box::new(job), reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Makes a tree reachable under the returned path for boxes only.
    pub(super) async fn stage(&self, tree: StagedTree) -> io::Result<PathBuf> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Stage(tree, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Undoes [`Spawner::stage`]. When the thread is gone its mounts are gone too.
    pub(super) fn unstage(&self, path: PathBuf) {
        drop(self.orders.send(Order::Unstage(path)));
    }
}

/// Paths that are visible to boxes until this is dropped.
pub(super) struct Staged {
    pub(super) spawner: Spawner,
    pub(super) paths: Vec<PathBuf>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.paths.drain(..).for_each(|path| self.spawner.unstage(path));
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts boxes has ended")
}

fn serve(inbox: &mpsc::Receiver<Order>, stage: &Stage, runtime: &Handle) {
    for order in inbox {
        match order {
            Order::Stage(tree, reply) => drop(reply.send(stage.add(&tree))),
            Order::Unstage(path) => stage.remove(&path),
            Order::Start(job, reply) => {
                let _context = runtime.enter();
                let Job { mut command, before } = *job;
                sys::before_exec(&mut command, before);
                let mut command = tokio::process::Command::from(command);
                drop(reply.send(command.kill_on_drop(true).spawn()));
            }
        }
    }
}
