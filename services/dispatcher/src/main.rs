//! `bot-bottle-dispatcher`: the dispatcher as a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use base::lifecycle::{Ending, Lifecycle, conclude};
use bus::{Connect, Credentials};
use clap::Parser;
use dispatcher::Config;
use manifest::{DispatchFile, Home};

/// Starts agents for pull requests, and posts their answers. `dispatch.yaml` in the home says for whom and for what.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the bus listens.
    #[arg(long, env = "NATS_URL", value_name = "URL")]
    bus: String,
    /// The dispatcher's NATS credentials file.
    #[arg(long, env = "BOT_BOTTLE_CREDENTIALS", value_name = "FILE")]
    credentials: PathBuf,
    /// Where `dispatch.yaml` is.
    #[arg(long, env = "BOT_BOTTLE_HOME", value_name = "DIR")]
    home: PathBuf,
    /// Where webhooks are taken, instead of where `dispatch.yaml` says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    base::logging::init(base::logging::Format::Auto);
    conclude("dispatcher", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let credentials = Credentials::read(&arguments.credentials)?;
    let connect = Connect::new(arguments.bus, credentials);
    let file = DispatchFile::load(&Home::at(arguments.home.clone()))?;
    let file = file.with_context(|| format!("there is no dispatch.yaml in {}", arguments.home.display()))?;
    let mut config = Config::new(connect, file, |name| std::env::var(name).ok())?;
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.collector = telemetry::Endpoint::of_process()?;
    let life = Lifecycle::new();
    life.stop_on_signals().context("cannot listen for signals")?;
    let dispatcher = dispatcher::build(config).await.context("the dispatcher cannot start")?;
    let address = dispatcher.address()?;
    dispatcher.start(&life).await.context("the dispatcher cannot start")?;
    // Nobody has to read it.
    let _ = writeln!(std::io::stdout(), "ready: webhooks at http://{address}/webhook/NAME");
    Ok(life.run(GRACE).await)
}
