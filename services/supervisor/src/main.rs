//! `bot-bottle-supervisor`: the supervisor as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use base::lifecycle::{Ending, Lifecycle, conclude};
use bus::{Connect, Credentials};
use clap::Parser;
use manifest::{Home, Settings};
use supervisor::Config;
use telemetry::Endpoint;

/// The only writer of decisions: owns every bottle's policy revisions.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the bus listens.
    #[arg(long, env = "NATS_URL", value_name = "URL")]
    bus: String,
    /// The supervisor's NATS credentials file.
    #[arg(long, env = "BOT_BOTTLE_CREDENTIALS", value_name = "FILE")]
    credentials: PathBuf,
    /// Where the settings, the keys and the audit trail's checkpoints are.
    #[arg(long, env = "BOT_BOTTLE_HOME", value_name = "DIR")]
    home: PathBuf,
    /// How long a policy change waits for its sidecar, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_name = "MS")]
    confirm_within: u64,
}

const GRACE: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    base::logging::init(base::logging::Format::Auto);
    conclude("supervisor", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let credentials = Credentials::read(&arguments.credentials)?;
    let connect = Connect::new(arguments.bus, credentials);
    let confirm_within = Duration::from_millis(arguments.confirm_within);
    let settings = Settings::load(&Home::at(arguments.home.clone()))?;
    let mut config = Config { confirm_within, ..Config::new(connect, arguments.home) };
    config.limits = settings.proposals.into();
    config.collector = Endpoint::of_process()?;
    let life = Lifecycle::new();
    life.stop_on_signals().context("cannot listen for signals")?;
    let supervisor = supervisor::build(config).await.context("the supervisor cannot start")?;
    supervisor.start(&life).await.context("the supervisor cannot start")?;
    Ok(life.run(GRACE).await)
}
