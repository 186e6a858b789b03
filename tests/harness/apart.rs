//! The host services as programs of their own, as on several machines: each can be killed alone.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use base::id::Slug;
use bus::keys::Keys;
use bus::layout::{EVENTS, Layout};
use bus::message::run::Started;
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Since};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{Backend, Home, program, soon};

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The private `nats-server`. Its owner, which is this process, starts it again when it dies.
    Bus,
    /// `bot-bottle-supervisor`.
    Supervisor,
    /// `bot-bottle-launcher`.
    Launcher,
}

/// A home whose services run apart. What they log is in `supervisor.log` and `launcher.log` there.
pub struct Apart {
    /// The home.
    pub home: Home,
    /// Where the bus is, also after it was away.
    pub url: String,
    server: Option<Server>,
    supervisor: Child,
    launcher: Child,
}

impl Apart {
    /// Starts them in a new home.
    ///
    /// # Panics
    /// When one cannot be started.
    pub async fn up() -> Self {
        Self::up_on(Backend::Namespace).await
    }

    /// The same, with bottles of that backend.
    ///
    /// # Panics
    /// When one cannot be started.
    pub async fn up_on(backend: Backend) -> Self {
        let home = Home::on(backend);
        home.run(&["init", "--bare"]).await.expect_code(0);
        let server = start_bus(home.path(), None).await;
        let url = server.url().to_owned();
        let keys = Keys::load(home.path()).unwrap_or_else(|error| panic!("no keys: {error}"));
        for role in [Role::Supervisor, Role::Launcher] {
            let credentials = keys.mint(role, None).unwrap_or_else(|error| panic!("{role}: {error}"));
            write_private(&credentials_of(&home, role), credentials.to_file().expose());
        }
        let admin = connect(&home, &url, Role::Admin).await;
        bus::provision(&admin, &Layout::default()).await.unwrap_or_else(|error| panic!("{error}"));
        let supervisor = start(&home, &url, Role::Supervisor);
        let launcher = start(&home, &url, Role::Launcher);
        Self { home, url, server: Some(server), supervisor, launcher }
    }

    /// Kills one without a word, and starts it again after a while.
    ///
    /// # Panics
    /// When it had ended by itself, or does not start.
    pub async fn kill(&mut self, part: Part, after: Duration) {
        let (child, role) = match part {
            Part::Bus => return self.kill_bus().await,
            Part::Supervisor => (&mut self.supervisor, Role::Supervisor),
            Part::Launcher => (&mut self.launcher, Role::Launcher),
        };
        kill(child, role).await;
        tokio::time::sleep(after).await;
        *child = start(&self.home, &self.url, role);
    }

    async fn kill_bus(&self) {
        // Between a death and the next start there is none to kill.
        let pid = soon("a bus that runs", async {
            loop {
                match self.server.as_ref().map(Server::pid) {
                    Some(Some(pid)) => return pid,
                    Some(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                    None => panic!("the bus was stopped"),
                }
            }
        })
        .await;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let killed = pid.map(|pid| kill_process(pid, Signal::KILL));
        assert_eq!(killed, Some(Ok(())), "the bus cannot be killed");
    }

    /// Asks the launcher to end, and waits until it has.
    ///
    /// # Panics
    /// When it ends badly, or had ended before.
    pub async fn stop_launcher(&mut self) {
        end(&mut self.launcher, Role::Launcher).await;
    }

    /// Starts an agent by a message, and waits until its program runs. Returns its bottle.
    ///
    /// # Panics
    /// When it does not run in time.
    pub async fn starts(&self, agent: &str) -> Slug {
        let operator = self.connect(Role::Operator).await;
        let events = operator.follow::<Started>(EVENTS, "bottle.started.*", Since::Now).await;
        let mut events = events.unwrap_or_else(|error| panic!("no events: {error}"));
        let id = base::id::ExchangeId::random();
        let request = serde_json::json!({ "v": 1, "id": format!("start-{id}"), "agent": agent });
        let request = serde_json::from_value::<StartRequest>(request);
        let request = request.unwrap_or_else(|error| panic!("no request for {agent}: {error}"));
        let stored = operator.publish(&request).await;
        stored.unwrap_or_else(|error| panic!("{agent} cannot be asked for: {error}"));
        let started = soon("a program that runs", events.next()).await.map(|record| record.message);
        match started {
            Ok(Ok(started)) => started.bottle,
            other => panic!("{agent} does not run: {other:?}"),
        }
    }

    /// Kills the launcher without a word.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub async fn kill_launcher(&mut self) {
        kill(&mut self.launcher, Role::Launcher).await;
    }

    /// Waits until no records of a bottle that is gone wait for the bus in the home.
    ///
    /// # Panics
    /// When some still do after [`crate::LIMIT`].
    pub async fn nothing_waits_of(&self, bottle: &str) {
        let place = self.home.path().join("records").join(bottle);
        soon("records that are on the bus", async {
            while place.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Starts a launcher in the home again, after [`Apart::stop_launcher`] or [`Apart::kill_launcher`].
    pub fn start_launcher(&mut self) {
        self.launcher = start(&self.home, &self.url, Role::Launcher);
    }

    /// Starts it in another home instead, which has the same keys: another host on the same bus.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_launcher_in(&mut self, home: &Home) {
        let keys = Keys::load(home.path()).unwrap_or_else(|error| panic!("no keys: {error}"));
        let credentials = keys.mint(Role::Launcher, None).unwrap_or_else(|error| panic!("{error}"));
        write_private(&credentials_of(home, Role::Launcher), credentials.to_file().expose());
        self.launcher = start(home, &self.url, Role::Launcher);
    }

    /// Takes the bus away, until it is started again.
    pub async fn stop_bus(&mut self) {
        if let Some(server) = self.server.take() {
            soon("the end of the bus", server.stop()).await;
        }
    }

    /// Starts the bus again where it was, with what it had stored.
    ///
    /// # Panics
    /// When it does not come up there.
    pub async fn start_bus(&mut self) {
        let port = self.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        self.server = Some(start_bus(self.home.path(), port).await);
    }

    /// The process of the launcher, under which all that its bottles are made of runs.
    #[must_use]
    pub fn launcher(&self) -> Option<u32> {
        self.launcher.id()
    }

    /// A connection in a role.
    pub async fn connect(&self, role: Role) -> Bus {
        connect(&self.home, &self.url, role).await
    }

    /// What the services logged.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |role| std::fs::read_to_string(log_of(&self.home, role)).unwrap_or_default();
        format!("supervisor:\n{}\nlauncher:\n{}", read(Role::Supervisor), read(Role::Launcher))
    }

    /// Stops them, in reverse; what is left is the home.
    ///
    /// # Panics
    /// When one ends badly, or had ended before.
    pub async fn down(mut self) -> Home {
        end(&mut self.launcher, Role::Launcher).await;
        end(&mut self.supervisor, Role::Supervisor).await;
        self.stop_bus().await;
        self.home.backend.has_nothing_of(self.home.path()).await;
        self.home
    }
}

async fn start_bus(home: &Path, port: Option<u16>) -> Server {
    let options = Options { port, ..Options::new(home) };
    Server::start(options).await.unwrap_or_else(|error| panic!("no bus: {}", base::error::chain(&error)))
}

async fn connect(home: &Home, url: &str, role: Role) -> Bus {
    let keys = Keys::load(home.path()).unwrap_or_else(|error| panic!("no keys: {error}"));
    let credentials = keys.mint(role, None).unwrap_or_else(|error| panic!("{role}: {error}"));
    Bus::connect(Connect::new(url, credentials)).await.unwrap_or_else(|error| panic!("{role}: {error}"))
}

fn start(home: &Home, url: &str, role: Role) -> Child {
    let mut command = Command::new(program(&format!("bot-bottle-{role}")));
    let log = std::fs::File::options().create(true).append(true).open(log_of(home, role));
    let log = log.unwrap_or_else(|error| panic!("no log of the {role}: {error}"));
    command.arg("--home").arg(home.path()).arg("--bus").arg(url);
    command.arg("--credentials").arg(credentials_of(home, role));
    command.env("BOT_BOTTLE_PROBE", "canaries").env_remove("NATS_URL").current_dir(home.path());
    command.envs(home.backend.variables());
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(log);
    command.kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("cannot run the {role}: {error}"))
}

/// Whether a service that was just started would hear that it is to end, or is over.
fn is_listening(pid: Pid) -> bool {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    caught.is_none_or(|set| set & (1 << (Signal::TERM.as_raw() - 1)) != 0)
}

async fn kill(child: &mut Child, role: Role) {
    let ended = child.try_wait().unwrap_or_else(|error| panic!("the {role}: {error}"));
    assert_eq!(ended, None, "the {role} ended by itself");
    soon("a service's death", child.kill()).await.unwrap_or_else(|error| panic!("the {role}: {error}"));
}

async fn end(child: &mut Child, role: Role) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    soon("a service that can be told to end", async {
        while !pid.is_none_or(is_listening) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let told = pid.map(|pid| kill_process(pid, Signal::TERM));
    assert_eq!(told, Some(Ok(())), "the {role} had ended before");
    let ended = soon("a service's end", child.wait()).await;
    assert!(ended.is_ok_and(|status| status.success()), "the {role} ended badly");
}

fn credentials_of(home: &Home, role: Role) -> std::path::PathBuf {
    home.path().join(format!("{role}.creds"))
}

fn log_of(home: &Home, role: Role) -> std::path::PathBuf {
    home.path().join(format!("{role}.log"))
}

fn write_private(path: &Path, text: &str) {
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
