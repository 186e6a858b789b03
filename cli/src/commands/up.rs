//! `up`: run the host services.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow};
use base::lifecycle::Ending;
use clap::ValueEnum as _;

use crate::args::Up;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::host::{self, Host, Lock, Options};
use crate::output;

/// Runs the services until a signal; with `--detach` in the background.
///
/// # Errors
/// A service does not start.
pub async fn run(context: &Context, args: &Up) -> Result<Exit, Failure> {
    if args.detach {
        if Lock::holder(&context.home)?.is_some() {
            return Err(Failure::new(Exit::TryAgain, host::in_use(context)));
        }
        return detach(context, args);
    }
    base::logging::init(base::logging::Format::Auto);
    let host = Host::start(context, &Options { port: args.port, probe: args.services.probe }).await?;
    let webhooks = host.webhooks().map(|at| format!("; webhooks at http://{at}/webhook/NAME"));
    output::line(&format!("ready: bus at {}{}", host.url(), webhooks.unwrap_or_default()));
    match host.run().await {
        Ending::Clean => Ok(Exit::Ok),
        Ending::Forced => Ok(Exit::TryAgain),
        Ending::Failed => {
            Err(Failure::new(Exit::Unavailable, anyhow!("a service ended by itself; the log says why")))
        }
    }
}

/// Starts the same command in a process group of its own, and waits for its word that all is ready.
fn detach(context: &Context, args: &Up) -> Result<Exit, Failure> {
    let log = context.home.join("log");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&log).context("cannot make the log folder")?;
    let path = log.join("up.log");
    let file = fs::File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .context("cannot open the log")?;
    let mut command = Command::new(std::env::current_exe().context("cannot tell where this program is")?);
    command.arg("--home").arg(&context.home).arg("up");
    if let Some(port) = args.port {
        command.arg("--port").arg(port.to_string());
    }
    if let Some(probe) = args.services.probe.to_possible_value() {
        command.arg("--probe").arg(probe.get_name());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).process_group(0);
    let mut child = command.spawn().context("cannot start the services in the background")?;
    let stdout = child.stdout.take().context("the services have no standard output")?;
    // The child says one line when it is ready, or ends; every step of its start has a deadline of its own.
    let mut ready = String::new();
    BufReader::new(stdout).read_line(&mut ready).context("cannot hear from the services")?;
    if ready.is_empty() {
        let status = child.wait().context("cannot wait for the services")?;
        let error = anyhow!("the services did not start ({status}); {} says why", path.display());
        return Err(Failure::new(Exit::Unavailable, error));
    }
    output::line(ready.trim_end());
    output::note(&format!("process {}, log in {}", child.id(), path.display()));
    Ok(Exit::Ok)
}
