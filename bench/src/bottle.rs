//! From a start request on the bus to the first command inside a bottle, with the services as `bot-bottle up` runs them.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use base::id::RequestId;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::keys::Keys;
use bus::message::event::Event;
use bus::message::run::{Output, Started};
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::{Bus, Connect, Since, layout};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::report::{Number, Report, median};

const FIRST_COMMAND: &str = "namespace_first_command_ms";
const RUNS: usize = 25;
const LIMIT: Duration = Duration::from_secs(30);

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// The services do not start, or a bottle does not.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[FIRST_COMMAND]) {
        return Ok(());
    }
    let host = Host::up().await.context("starting the services")?;
    let mut totals = Vec::new();
    let mut steps: Vec<(String, Vec<f64>)> = Vec::new();
    // The first one fills caches, as the first of a day does; it is not counted.
    for round in 0..=RUNS {
        let (total, started) =
            tokio::time::timeout(LIMIT, host.launch()).await.context("a bottle took too long")??;
        if round == 0 {
            continue;
        }
        totals.push(total);
        for step in started.steps {
            match steps.iter_mut().find(|(name, _)| *name == step.step) {
                Some((_, times)) => times.push(step.ms),
                None => steps.push((step.step, vec![step.ms])),
            }
        }
    }
    host.down().await?;
    let total = median(totals.clone());
    report.add(FIRST_COMMAND, Number { value: total, unit: "ms", over: None });
    for (name, times) in steps {
        let time = median(times);
        report.remark(&format!("{name:10} {time:7.1} ms  {:4.0} %", 100.0 * time / total));
    }
    totals.sort_by(f64::total_cmp);
    let slowest = totals.last().copied().unwrap_or(f64::NAN);
    report.remark(&format!("of {RUNS} launches the slowest took {slowest:.1} ms"));
    Ok(())
}

/// `bot-bottle up` in a temporary home.
struct Host {
    home: tempfile::TempDir,
    services: Child,
    bus: Bus,
}

impl Host {
    async fn up() -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("bot-bottle-bench-").tempdir()?;
        for folder in ["bottles", "agents"] {
            std::fs::create_dir(home.path().join(folder))?;
        }
        // The program says what time it is as soon as it runs.
        let bottle = "---\nagent_provider: {template: command, argv: [date, \"+%s.%N\"], prompt: none}\negress: {routes: [{host: api.example.com}]}\n---\n";
        std::fs::write(home.path().join("bottles/clock.md"), bottle)?;
        std::fs::write(home.path().join("agents/clock.md"), "---\nbottle: clock\n---\n")?;
        let program = std::env::current_exe()?.with_file_name("bot-bottle");
        let mut command = Command::new(&program);
        command
            .arg("--home")
            .arg(home.path())
            .arg("up")
            .env_remove("NATS_URL")
            .env("BOT_BOTTLE_LOG", "error");
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

    /// One bottle from request to end: milliseconds until its program said what time it was, and its steps.
    async fn launch(&self) -> anyhow::Result<(f64, Started)> {
        let mut events = self.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await?;
        let start = StartRequest {
            v: Default::default(),
            id: RequestId::random(),
            agent: "clock".parse()?,
            bottles: Vec::new(),
            task: None,
            workspace: None,
            resume: None,
            label: None,
            color: None,
            backend: None,
            terminal: None,
        };
        let asked = now();
        self.bus.publish(&start).await?;
        let mut started = None;
        loop {
            match events.next().await?.message? {
                Event::Started(event) if event.request == start.id => started = Some(event),
                Event::Exited(event) if event.request == start.id => break,
                Event::Failed(event) => bail!("the bottle did not start: {}", event.reason),
                _ => {}
            }
        }
        let started = started.context("it ended before it started")?;
        let subject = format!("bottle.output.{}", started.bottle);
        let mut pieces = self.bus.follow::<Output>(layout::OUTPUT, &subject, Since::All).await?;
        let piece = pieces.next().await?.message?;
        let text = String::from_utf8(BASE64_STANDARD.decode(&piece.data)?)?;
        let ran: f64 = text.trim().parse().context("the program said no time")?;
        Ok(((ran - asked) * 1000.0, started))
    }

    async fn down(mut self) -> anyhow::Result<()> {
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

/// Seconds since 1970, as `date` counts them.
#[expect(clippy::disallowed_methods, reason = "compared with what another program says")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
