//! What isolates a bottle, behind one trait. Launching knows nothing else about it.

mod agent_user;
pub mod docker;
mod init;
pub mod namespace;
mod placing;
mod progress;
mod seccomp;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use base::id::Slug;
use boundary::order::Command;
use bus::message::record::CommitImage;
use bus::message::terminal::Size;
use futures::future::BoxFuture;
use handover::Channel;
use manifest::settings::RuntimeName;
use rustix::process::Signal;

pub use self::agent_user::AgentUser;
pub use self::init::Init;
pub use self::progress::Progress;
use crate::client::program::ProgramMount;
use crate::image::Source;
use crate::limits::{self, Limits};

/// Where the agent lives inside a bottle.
pub const AGENT_HOME: &str = "/home/agent";
/// The agent's working directory unless something else was asked for.
pub const AGENT_WORKSPACE: &str = "/home/agent/workspace";
/// The directory inside a sidecar's box that it may write to.
pub const SIDECAR_SPOOL: &str = "/spool";
/// The directory inside a bottle that holds the certificates to trust.
pub const TRUST: &str = "/etc/bot-bottle";
/// Init's own path inside a bottle.
pub const INIT: &str = "/.bot-bottle/init";

/// The longest that init or a sidecar may take for one answer that needs no work.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Why a backend could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The operating system refused something.
    #[error("cannot {doing}")]
    System {
        /// What was being done, to what.
        doing: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The box around a process did not come to life.
    #[error("bubblewrap could not make the {what}: {stderr}")]
    Bubblewrap {
        /// `bottle`, or the sidecar's name.
        what: String,
        /// What it printed.
        stderr: String,
    },
    /// The Docker engine did not do something, or cannot be used.
    #[error("cannot {doing}: {reason}")]
    Engine {
        /// What was being done, to what.
        doing: String,
        /// What the engine said, or what to do about it.
        reason: String,
    },
    /// The hand-over channel failed.
    #[error("cannot talk to the first process of the {what}")]
    Channel {
        /// `bottle`, or the sidecar's name.
        what: String,
        /// How it failed.
        #[source]
        source: handover::ChannelError,
    },
    /// Init refused an order.
    #[error("{0}")]
    Refused(String),
}

impl BackendError {
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::System { doing, source }
    }
}

/// A bottle's boundary, as it is to be made.
#[derive(Clone, Debug)]
pub struct BoundarySpec {
    /// The bottle.
    pub bottle: Slug,
    /// What it may use.
    pub limits: Limits,
    /// Loopback ports that are opened inside and handed out, in order.
    pub ports: Vec<std::net::SocketAddr>,
    /// Programs of the host that are shown in it.
    pub programs: Vec<ProgramMount>,
    /// What it is made of, where that is an image and the bottle or its provider says one.
    pub image: Option<Source>,
    /// What runs it, where that is a container; `runc` unless given.
    pub runtime: Option<RuntimeName>,
    /// Is told what takes long.
    pub progress: Progress,
}

/// Which container runtime a bottle gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// It; none where there are no containers.
    pub runtime: Option<RuntimeName>,
    /// What the operator has to know about it, in one sentence.
    pub note: Option<String>,
}

/// A file that is put into the bottle before the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BottleFile {
    /// Below which directory.
    pub place: Place,
    /// Its path below that, without `..`.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Where a file is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The agent's home, as its own.
    Home,
    /// The directory of certificates, which the agent can only read.
    Trust,
}

/// How an archive is unpacked inside a bottle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacking {
    /// The directory below the agent's home that it goes to, as a plain relative path; empty for the home itself.
    pub into: String,
    /// Whether symbolic links are made; otherwise one is a failure.
    pub links: bool,
    /// How much it may hold.
    pub limits: archive::Limits,
}

/// What a command that ran inside the boundary came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; absent when it was killed at its deadline.
    pub code: Option<i32>,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// The outer side of a program's terminal.
#[derive(Debug)]
pub enum OuterSide {
    /// The terminal itself.
    Terminal(OwnedFd),
    /// It stays inside, and is passed on.
    Passed {
        /// What is typed goes in, what is shown comes out.
        bytes: OwnedFd,
        /// Takes each new size, as [`boundary::order::size_bytes`] writes it.
        sizes: OwnedFd,
        /// The size at first.
        size: Size,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The program ended with this code; 128 + N when signal N ended it.
    Exited(i32),
    /// The boundary was ended by something else, or killed: its init has not reported the program's end.
    Lost,
}

/// A sidecar, as it is to be started.
#[derive(Clone, Debug)]
pub struct SidecarSpec {
    /// The bottle it serves.
    pub bottle: Slug,
    /// Its name: `egress`, `door`, `gitgate`.
    pub name: &'static str,
    /// Its program on the host.
    pub program: PathBuf,
    /// Whether it has a directory to write to, [`SIDECAR_SPOOL`].
    pub has_spool: bool,
    /// A program beside its own, under `/.bot-bottle/` and this name; the host's `/usr` it sees anyway.
    pub beside: Option<(&'static str, PathBuf)>,
    /// Bytes of memory that it may fill with all that it starts.
    pub memory: u64,
}

impl SidecarSpec {
    /// One that writes nowhere, starts nothing, and may fill 512 MiB of memory.
    #[must_use]
    pub fn new(bottle: Slug, name: &'static str, program: PathBuf) -> Self {
        Self { bottle, name, program, has_spool: false, beside: None, memory: limits::SIDECAR_MEMORY }
    }
}

/// Makes and removes boundaries.
pub trait Backend: Send + Sync {
    /// Its name in records and requests: `namespace`, `docker`.
    fn name(&self) -> &'static str;

    /// Finds out whether it can make a boundary now, within a few seconds.
    ///
    /// # Errors
    /// Why it cannot, and what to do about it.
    fn works(&self) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Which container runtime a bottle gets for which the operator wants this one, or has no wish.
    ///
    /// # Errors
    /// What is wanted is not there or does not work, and what to do about it.
    fn runtime(&self, wanted: Option<RuntimeName>) -> BoxFuture<'_, Result<Chosen, BackendError>> {
        let chosen = match wanted {
            None => Ok(Chosen::default()),
            Some(wanted) => Err(BackendError::Engine {
                doing: format!("run the bottle under {}", wanted.as_str()),
                reason: format!(
                    "the backend {} runs no containers: leave the runtime away, or use the backend docker",
                    self.name()
                ),
            }),
        };
        Box::pin(std::future::ready(chosen))
    }

    /// Makes a boundary around a fresh home and starts init in it. What it needs on disk is below the bottle's state
    /// directory, which exists.
    fn create(&self, spec: BoundarySpec) -> BoxFuture<'_, Result<Box<dyn Boundary>, BackendError>>;

    /// Starts a sidecar of a bottle in a box of its own, with a hand-over channel as its standard input.
    fn start_sidecar(&self, spec: SidecarSpec) -> BoxFuture<'_, Result<Box<dyn Sidecar>, BackendError>>;

    /// The bottles of which something may still exist on this host.
    ///
    /// # Errors
    /// The state directory cannot be read.
    fn list_owned(&self) -> BoxFuture<'_, Result<Vec<Slug>, BackendError>>;

    /// Ends every process of a bottle and removes what the backend made for it. Doing it twice is harmless.
    fn destroy<'a>(&'a self, bottle: &'a Slug) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Removes what was left of making something that was never done, such as the steps of a build whose launcher died.
    ///
    /// # Errors
    /// The engine fails.
    fn sweep(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Removes what it keeps from one bottle to the next, such as images that it built, and that nothing uses now; names it.
    /// What commits need stays: all of it unless these are all the archives that there are.
    fn remove_kept<'a>(
        &'a self,
        _archives: Option<&'a HashSet<String>>,
    ) -> BoxFuture<'a, Result<Vec<String>, BackendError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Keeps what a running bottle is made of for a commit, under the name of its archive; nothing where that is no image.
    ///
    /// # Errors
    /// The bottle is not there, or what it is made of cannot be kept.
    fn pin<'a>(
        &'a self,
        _bottle: &'a Slug,
        _archive: &'a str,
    ) -> BoxFuture<'a, Result<Option<CommitImage>, BackendError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Finds or builds another image, of this Dockerfile, and keeps that for a commit instead of what [`Backend::pin`] kept.
    ///
    /// # Errors
    /// It cannot be built, which the reason says with the last lines of the build; or the backend has no images.
    fn rebuild<'a>(
        &'a self,
        _archive: &'a str,
        _source: Source,
        _dockerfile: String,
    ) -> BoxFuture<'a, Result<CommitImage, BackendError>> {
        let reason = "its bottles are made of no image".to_owned();
        let refused = BackendError::Engine { doing: format!("build an image for {}", self.name()), reason };
        Box::pin(std::future::ready(Err(refused)))
    }

    /// Ends what [`Backend::pin`] did for a commit. Doing it twice is harmless.
    ///
    /// # Errors
    /// It is still kept.
    fn unpin<'a>(&'a self, _archive: &'a str) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether an image is there, for bottles to be made of; a backend without images needs none.
    ///
    /// # Errors
    /// It cannot look.
    fn has_image<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<bool, BackendError>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

/// One bottle's boundary.
pub trait Boundary: Send {
    /// The sockets that listen inside, or that take what is forwarded from there, in the order asked for; empty when they
    /// were taken before.
    fn take_listeners(&mut self) -> Vec<OwnedFd>;

    /// The mount points that it has on purpose.
    fn mounts(&self) -> Vec<String>;

    /// The Unix sockets that are shown in it on purpose.
    fn sockets(&self) -> Vec<String> {
        Vec::new()
    }

    /// What could not be limited, one sentence each, for the bottle's record.
    fn notes(&self) -> Vec<String>;

    /// The conversation with its init.
    fn init(&mut self) -> &mut Init;

    /// Puts one file into the bottle, before the agent runs. A file that is there already is replaced.
    ///
    /// # Errors
    /// The system's own.
    fn place(&self, file: &BottleFile) -> io::Result<()>;

    /// Puts files into the bottle, before the agent runs. A file that is there already is replaced.
    fn copy_in(&mut self, files: Vec<BottleFile>) -> BoxFuture<'_, Result<(), BackendError>> {
        let placed = files.iter().try_for_each(|file| {
            let shown = file.path.display();
            self.place(file).map_err(BackendError::system(format!("put {shown} into the bottle")))
        });
        Box::pin(std::future::ready(placed))
    }

    /// Unpacks an archive inside, with the agent's rights, before the agent runs. It is read from where the file is.
    fn unpack(&mut self, archive: File, how: Unpacking) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(self.init().unpack(archive, how))
    }

    /// Runs a command inside to its end.
    fn exec(
        &mut self,
        command: Command,
        input: String,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Outcome, BackendError>> {
        Box::pin(self.init().exec(command, input, deadline))
    }

    /// Starts the agent's program with these standard streams; nothing can be asked of init afterwards.
    fn run(&mut self, command: Command, streams: [OwnedFd; 3]) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(self.init().run(command, streams))
    }

    /// Starts the agent's program at a terminal of its own inside the bottle; returns the way to its other side. Nothing
    /// can be asked of init afterwards.
    fn converse(&mut self, command: Command, size: Size) -> BoxFuture<'_, Result<OuterSide, BackendError>> {
        Box::pin(self.init().converse(command, size))
    }

    /// Waits until the program has ended and everything else in the boundary with it. Cancel-safe.
    fn wait(&mut self) -> BoxFuture<'_, RunEnd>;

    /// Completes, with the reason, when the bottle has filled what it may fill of the host's disk. Cancel-safe.
    fn filled(&self) -> BoxFuture<'static, String>;

    /// Sends a signal to the agent's process group. A boundary that is gone already takes it silently.
    fn signal(&self, signal: Signal);

    /// Ends everything inside at once.
    fn kill(&self);
}

/// One running sidecar.
pub trait Sidecar: Send {
    /// Its hand-over channel; nothing when it was taken before. Closing it asks the sidecar to stop.
    fn take_channel(&mut self) -> Option<Channel>;

    /// What could not be limited, one sentence each, for the bottle's record.
    fn notes(&self) -> Vec<String>;

    /// Waits for its end and says how it ended; its log is whole then. Cancel-safe.
    fn wait(&mut self) -> BoxFuture<'_, String>;

    /// Ends it at once.
    fn kill(&mut self);
}
