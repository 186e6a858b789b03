//! The launcher as a program of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle, conclude};
use bus::keys::BottleMinter;
use bus::{Bus, Connect, Credentials};
use clap::Parser;
use launcher::backends::Backends;
use launcher::probe::ProbeReach;
use launcher::world::nobody;
use launcher::{Deps, Launcher, LauncherConfig};
use manifest::{Home, Settings};

/// Runs bottles for start requests from the bus.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The bot-bottle home.
    #[arg(long, env = "BOT_BOTTLE_HOME")]
    home: PathBuf,
    /// The bus: nats://host:port.
    #[arg(long, env = "NATS_URL")]
    bus: String,
    /// A file with the launcher's bus credentials.
    #[arg(long, env = "BOT_BOTTLE_CREDENTIALS")]
    credentials: PathBuf,
    /// The directory with bot-bottle's programs; this one's own unless given.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// How many bottles run at the same time; `concurrency` of the home's settings unless given.
    #[arg(long)]
    concurrency: Option<usize>,
    /// What the escape probe tries beside the canaries that it opens itself.
    #[arg(long, env = "BOT_BOTTLE_PROBE", value_enum, default_value_t)]
    probe: ProbeReach,
}

/// Longer than a run's grace and its teardown.
const GRACE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    base::logging::init(base::logging::Format::Auto);
    conclude("launcher", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let own = std::env::current_exe().context("finding this program")?;
    let programs = arguments.programs.or_else(|| own.parent().map(PathBuf::from)).unwrap_or_default();
    let settings = Settings::load(&Home::at(arguments.home.clone()))?;
    let mut config = LauncherConfig::new(arguments.home, programs, arguments.bus).with(&settings);
    config.concurrency = arguments.concurrency.unwrap_or(config.concurrency);
    config.targets = arguments.probe.targets();
    for needed in launcher::prerequisite::prerequisites(&config) {
        needed.found.with_context(|| format!("the launcher needs {}", needed.name))?;
    }
    let life = Lifecycle::new();
    life.stop_on_signals().context("listening for signals")?;
    let credentials = Credentials::read(&arguments.credentials)?;
    let deps = Deps {
        bus: Bus::connect(Connect::new(config.bus_url.clone(), credentials)).await?,
        minter: BottleMinter::load(&config.home)?,
        backends: Backends::of(&config)?,
        clock: Clock::System,
        observer: nobody(),
    };
    let (launcher, reconciled) = Launcher::build(config, deps, &life).await?;
    tracing::info!(
        removed = reconciled.removed.len(),
        lost = reconciled.lost.len(),
        "what was left is put away"
    );
    launcher.run();
    Ok(life.run(GRACE).await)
}
