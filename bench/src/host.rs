//! `bot-bottle up`, as a process of its own, in a temporary home.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base::id::{RequestId, Slug};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::keys::Keys;
use bus::message::event::Event;
use bus::message::run::{Exited, Output, Started};
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::{Bus, Connect, Since, layout};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The longest that a run or a stop may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The services.
pub(crate) struct Host {
    home: tempfile::TempDir,
    services: Child,
    pub(crate) bus: Bus,
}

/// One run.
pub(crate) struct Run {
    /// When it was asked for, in seconds since 1970.
    pub(crate) asked: f64,
    pub(crate) started: Started,
    pub(crate) exited: Exited,
}

impl Host {
    /// Starts the services with these variables, over a home with these files.
    ///
    /// # Errors
    /// They do not start.
    pub(crate) async fn up(files: &[(&str, &str)], variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("bot-bottle-bench-").tempdir()?;
        for (path, text) in files {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(home.path()))?;
            std::fs::write(path, text)?;
        }
        let program = std::env::current_exe()?.with_file_name("bot-bottle");
        let mut command = Command::new(&program);
        command
            .arg("--home")
            .arg(home.path())
            .arg("up")
            .env_remove("NATS_URL")
            .env("BOT_BOTTLE_LOG", "error");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut services = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let out = services.stdout.take().context("the services have no standard output")?;
        if BufReader::new(out).lines().next_line().await?.is_none() {
            bail!("the services did not start");
        }
        let url = bus::server::find(home.path())?.context("no bus runs")?.url;
        let credentials = Keys::load(home.path())?.mint(Role::Operator, None)?;
        let bus = Bus::connect(Connect::new(url, credentials)).await?;
        Ok(Self { home, services, bus })
    }

    /// A request for this agent, to be changed.
    pub(crate) fn request(agent: &str) -> anyhow::Result<StartRequest> {
        let request = serde_json::json!({ "v": 1, "id": RequestId::random(), "agent": agent });
        Ok(serde_json::from_value(request)?)
    }

    /// One bottle from request to end.
    ///
    /// # Errors
    /// It does not start, or takes too long.
    pub(crate) async fn run(&self, start: &StartRequest) -> anyhow::Result<Run> {
        let running = async {
            let mut events = self.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await?;
            let asked = now();
            self.bus.publish(start).await?;
            let mut started = None;
            loop {
                match events.next().await?.message? {
                    Event::Started(event) if event.request == start.id => started = Some(event),
                    Event::Exited(exited) if exited.request == start.id => {
                        let started = started.context("it ended before it started")?;
                        return Ok(Run { asked, started, exited });
                    }
                    Event::Failed(event) => bail!("the bottle did not start: {}", event.reason),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(LIMIT, running).await.context("a bottle took too long")?
    }

    /// The first that a bottle's program wrote, as the seconds that it stands for.
    ///
    /// # Errors
    /// It is none, or the bus does not answer.
    pub(crate) async fn first_word(&self, bottle: &Slug) -> anyhow::Result<f64> {
        let subject = format!("bottle.output.{bottle}");
        let mut pieces = self.bus.follow::<Output>(layout::OUTPUT, &subject, Since::All).await?;
        let piece = pieces.next().await?.message?;
        let word = String::from_utf8(BASE64_STANDARD.decode(&piece.data)?)?;
        word.trim().parse().context("the program said no time")
    }

    /// Stops the services.
    ///
    /// # Errors
    /// They do not stop in time.
    pub(crate) async fn down(mut self) -> anyhow::Result<()> {
        if let Some(pid) =
            self.services.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        tokio::time::timeout(LIMIT, self.services.wait()).await.context("the services do not stop")??;
        drop(self.home);
        Ok(())
    }
}

/// Seconds since 1970, as other programs count them.
#[expect(clippy::disallowed_methods, reason = "compared with what another program says")]
pub(crate) fn now() -> f64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
