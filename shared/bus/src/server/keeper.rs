//! The thread that the server lives and dies with.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use base::lock::Locked;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{oneshot, watch};

use super::record::{self, CONFIG, Running};
use super::{RESTART_WINDOW, RESTARTS, ServerError, config, ready, sys};
use crate::files;
use crate::keys::{Keys, bus_dir};

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not there yet, or again not there yet.
    Starting,
    /// There.
    Running {
        /// Its process.
        pid: u32,
    },
    /// Stopped or given up.
    Ended {
        /// Why.
        reason: String,
    },
}

/// The owner's handle.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    url: String,
}

struct Shared {
    state: watch::Sender<State>,
    stopping: AtomicBool,
    /// The current process, by a handle that means no other.
    process: Mutex<Option<OwnedFd>>,
}

/// What the thread needs to start the server.
struct Plan {
    home: PathBuf,
    dir: PathBuf,
    binary: PathBuf,
    _lock: Locked,
}

impl Keeper {
    /// Writes the configuration, starts the server and waits until it answers.
    pub(super) fn start(
        home: &Path,
        binary: PathBuf,
        port: Option<u16>,
        keys: &Keys,
        lock: Locked,
    ) -> Result<Self, ServerError> {
        let dir = bus_dir(home);
        for name in ["store", "run"] {
            let path = dir.join(name);
            files::private_dir(&path).map_err(|source| ServerError::File { doing: "make", path, source })?;
        }
        keys.write_accounts(home)?;
        write_config(&dir, port)?;
        let plan = Plan { home: home.to_owned(), dir: dir.clone(), binary, _lock: lock };
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Starting),
            stopping: AtomicBool::new(false),
            process: Mutex::new(None),
        });
        let (first, started) = oneshot::channel();
        let inside = shared.clone();
        let thread = std::thread::Builder::new()
            .name("nats-server keeper".to_owned())
            .spawn(move || inside.keep(&plan, first))
            .map_err(|source| ServerError::File { doing: "start a keeper for", path: dir.clone(), source })?;
        let mut keeper = Self { shared, thread: Some(thread), url: String::new() };
        let port = started.blocking_recv().unwrap_or_else(|_| {
            Err(ServerError::NotReady { within: RESTART_WINDOW, reason: "its keeper ended".to_owned() })
        })?;
        // A restart must find the port that the clients know.
        write_config(&dir, Some(port))?;
        keeper.url = url(port);
        Ok(keeper)
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    pub(super) fn ask_to_stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.signal(Signal::TERM);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Every acknowledged write is on disk already, so that force loses nothing.
        self.shared.signal(Signal::KILL);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The life of the thread: it must outlive every server that it starts.
    fn keep(&self, plan: &Plan, first: oneshot::Sender<Result<u16, ServerError>>) {
        let mut first = Some(first);
        let mut deaths = VecDeque::new();
        let reason = loop {
            match self.run(plan, &mut first) {
                _ if self.stopping.load(Ordering::SeqCst) => break "it was stopped".to_owned(),
                Err(reason) => break reason,
                Ok(how) => {
                    tracing::error!(how, "nats-server died; it is started again");
                    deaths.push_back(Instant::now());
                    deaths.retain(|death| death.elapsed() < RESTART_WINDOW);
                    if deaths.len() > RESTARTS {
                        break format!("nats-server died {} times within {RESTART_WINDOW:?}", deaths.len());
                    }
                }
            }
        };
        record::remove(&plan.home);
        self.state.send_replace(State::Ended { reason });
    }

    /// Starts the server once, and returns when it has ended, with how; or why it did not come up.
    fn run(
        &self,
        plan: &Plan,
        first: &mut Option<oneshot::Sender<Result<u16, ServerError>>>,
    ) -> Result<String, String> {
        self.state.send_replace(State::Starting);
        let (mut child, port) = match self.bring_up(plan) {
            Ok(started) => started,
            Err(error) => {
                let reason = base::error::chain(&error);
                if let Some(first) = first.take() {
                    let _ = first.send(Err(error));
                }
                return Err(reason);
            }
        };
        self.state.send_replace(State::Running { pid: child.id() });
        if let Some(first) = first.take() {
            let _ = first.send(Ok(port));
        }
        let ended = child.wait();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(ended.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }

    /// Starts the server, waits until it answers, and records where it is.
    fn bring_up(&self, plan: &Plan) -> Result<(Child, u16), ServerError> {
        let mut child = self.spawn(plan)?;
        let up = ready::wait(&plan.dir, &mut child).and_then(|port| {
            let running = Running { url: url(port), pid: child.id(), owner: std::process::id() };
            record::write(&plan.home, &running).map(|()| port)
        });
        match up {
            Ok(port) => Ok((child, port)),
            Err(error) => {
                // Whatever it had acknowledged is on disk; nothing is lost by force.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn spawn(&self, plan: &Plan) -> Result<Child, ServerError> {
        let failed = |source| ServerError::File { doing: "run", path: plan.binary.clone(), source };
        let mut command = Command::new(&plan.binary);
        command
            .arg("-c")
            .arg(plan.dir.join(CONFIG))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A terminal's Ctrl-C is for its owner, which stops it when nobody needs it any more.
            .process_group(0);
        sys::die_with_spawning_thread(&mut command);
        let child = command.spawn().map_err(failed)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = handle;
        if self.stopping.load(Ordering::SeqCst) {
            self.signal(Signal::KILL);
        }
        Ok(child)
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*process {
            // It may have ended by itself just now.
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

fn url(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

fn write_config(dir: &Path, port: Option<u16>) -> Result<(), ServerError> {
    let path = dir.join(CONFIG);
    let text = config::render(dir, port);
    files::write_private(&path, text.as_bytes()).map_err(|source| ServerError::File {
        doing: "write",
        path,
        source,
    })
}
