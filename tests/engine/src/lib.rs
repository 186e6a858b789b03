//! A Docker engine of its own for tests, as `deploy/tools/engine` runs it: the machine's own is never touched, and
//! everything is removed when the engine is dropped or the process that started it is gone.
//!
//! ```text
//! let Some(engine) = Engine::shared() else { return };  // with the base image; says what is skipped
//! let docker = connect(engine.socket());
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde::Deserialize;

/// The base image that [`Engine::shared`] and [`Options::base`] put into an engine.
pub const BASE_IMAGE: &str = "debian:bookworm-slim";

/// Set to anything, no test is skipped: what cannot be run fails.
pub const NO_SKIPPING: &str = "BOT_BOTTLE_NO_SKIPPING";

/// The base image may have to be made first, from packages.
const READY: Duration = Duration::from_secs(600);
const ANSWER: Duration = Duration::from_secs(90);

/// How an engine is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether it gets the base image.
    pub base: bool,
    /// More of `daemon.json`, as a JSON object.
    pub settings: Option<String>,
    /// How much its data may take, such as `300m`; `6g` unless given. It is in memory.
    pub size: Option<String>,
    /// The resolver that it knows; this machine's unless given.
    pub resolver: Option<Ipv4Addr>,
}

/// A running engine. Dropping it ends it and everything in it.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    outside: Ipv4Addr,
    holder: u32,
    keeper: Mutex<Keeper>,
}

/// The program that keeps it.
#[derive(Debug)]
struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Skipped(String),
    Done(String),
    #[serde(untagged)]
    Ready {
        socket: PathBuf,
        outside: Ipv4Addr,
        holder: u32,
    },
}

impl Engine {
    /// The engine that the tests of this process share, with the base image; it ends after the process. Nothing where
    /// this machine cannot run one, which is said on standard error.
    ///
    /// # Panics
    /// When it does not start, and when it cannot run here although [`NO_SKIPPING`] is set.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options { base: true, ..Options::default() })).as_ref()
    }

    /// The engine that the tests of this process share that has gVisor as `runsc`, with the base image. Nothing where this
    /// machine cannot run one, which is said on standard error; a machine that cannot run gVisor fails no test.
    ///
    /// # Panics
    /// As [`Engine::shared`]; or gVisor should be there and cannot be had.
    #[must_use]
    pub fn with_gvisor() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
        let start = || {
            let settings = Some(gvisor()?);
            Self::start(&Options { base: true, settings, ..Options::default() })
        };
        SHARED.get_or_init(start).as_ref()
    }

    /// Starts one for a single test. Nothing where this machine cannot run one, which is said on standard error.
    ///
    /// # Panics
    /// As [`Engine::shared`].
    #[must_use]
    pub fn start(options: &Options) -> Option<Self> {
        let mut keeper = Keeper::spawn(options);
        match keeper.line(READY) {
            Line::Ready { socket, outside, holder } => {
                Some(Self { socket, outside, holder, keeper: Mutex::new(keeper) })
            }
            Line::Skipped(why) => {
                skip(&why);
                None
            }
            Line::Done(order) => panic!("the engine answered an order, {order}, that was not given"),
        }
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address of this machine at which its containers reach a listener; from here, of nothing else.
    #[must_use]
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// A program of this machine in the network and mounts of the engine, not yet run: as if this machine were its host and
    /// no other's. Whoever runs it ends it before the engine.
    #[must_use]
    pub fn within(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.to_string(), "--net", "--mount", "--", program]);
        command
    }

    /// Asks it to end, and waits for its end. Containers end with it unless its settings say otherwise.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Kills it; its containers go on.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&self) {
        self.order("kill");
    }

    /// Starts it again after [`Engine::stop`] or [`Engine::kill`], with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        self.order("start");
    }

    fn order(&self, order: &str) {
        let mut keeper =
            self.keeper.lock().unwrap_or_else(|_| panic!("an earlier order to the engine failed"));
        let Some(orders) = keeper.orders.as_mut() else { panic!("the engine has ended") };
        writeln!(orders, "{order}")
            .unwrap_or_else(|error| panic!("cannot tell the engine to {order}: {error}"));
        match keeper.line(ANSWER) {
            Line::Done(done) if done == order => {}
            _ => panic!("the engine did something else than {order}"),
        }
    }
}

impl Keeper {
    fn spawn(options: &Options) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/tools/engine");
        let mut command = Command::new(&program);
        if options.base {
            command.arg("--base");
        }
        if let Some(settings) = &options.settings {
            command.args(["--settings", settings]);
        }
        if let Some(size) = &options.size {
            command.args(["--size", size]);
        }
        if let Some(resolver) = options.resolver {
            command.args(["--resolver", &resolver.to_string()]);
        }
        // Out of the terminal's process group: an interrupt ends the tests, and that ends the engine in order.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        let orders = child.stdin.take();
        let (sender, lines) = channel();
        let Some(output) = child.stdout.take() else { panic!("the engine has no output") };
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, orders, lines }
    }

    fn line(&mut self, limit: Duration) -> Line {
        let line = match self.lines.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("waited {limit:?} for the engine"),
            Err(RecvTimeoutError::Disconnected) => panic!("the engine ended; it says above why"),
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the engine says {line:?}: {error}"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        // Its own waits have limits.
        let ended = self.child.wait();
        debug_assert!(ended.is_ok(), "{ended:?}");
    }
}

/// What `daemon.json` says of gVisor, if this machine can run it.
fn gvisor() -> Option<String> {
    const CANNOT: i32 = 3;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/tools/runsc");
    let asked = Command::new(&program).arg("settings").output();
    let asked = asked.unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
    let said = String::from_utf8_lossy(&asked.stderr);
    match asked.status.code() {
        Some(0) => Some(String::from_utf8_lossy(&asked.stdout).trim().to_owned()),
        Some(CANNOT) => {
            tell(said.trim());
            None
        }
        code => {
            skip(&format!("gVisor cannot be had ({code:?}): {said}"));
            None
        }
    }
}

/// Says that a test is skipped, and why, around the capture of tests that pass: what was not tested must be seen.
///
/// # Panics
/// When [`NO_SKIPPING`] is set.
pub fn skip(why: &str) {
    assert!(std::env::var_os(NO_SKIPPING).is_none(), "nothing may be skipped here, but {why}");
    tell(why);
}

fn tell(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A closed standard error has nobody to tell.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
