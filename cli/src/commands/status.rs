//! `status`: whether the bus and the services answer.

use std::time::Duration;

use anyhow::Context as _;
use base::clock::Clock;
use base::inert;
use bus::message::record::LauncherRecord;
use bus::message::revision::{Change, Confirm, PolicyChange};
use bus::{Bus, BusError, layout};
use serde::Serialize;

use super::list;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// A launcher that was silent for longer is taken for dead.
const SILENCE: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Status {
    bus: String,
    supervisor: bool,
    launchers: Vec<LauncherRecord>,
    bottles: usize,
}

/// Shows what answers. Ends with [`Exit::No`] if the supervisor or every launcher is away.
///
/// # Errors
/// The bus does not answer.
pub async fn run(context: &Context, format: Format) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let status = Status {
        bus: context.bus_url()?.unwrap_or_default(),
        supervisor: supervisor_answers(&bus).await.or_bus()?,
        launchers: launchers(&bus, &context.clock).await.or_bus()?,
        bottles: list::records(&bus).await.or_bus()?.iter().filter(|record| record.state.is_live()).count(),
    };
    match format {
        Format::Json => output::json(&status).context("cannot print the status")?,
        Format::Text => output::line(&render(&status)),
    }
    Ok(if status.supervisor && !status.launchers.is_empty() { Exit::Ok } else { Exit::No })
}

fn render(status: &Status) -> String {
    let mut lines = vec![
        format!("bus         {}", inert(&status.bus, 200)),
        format!("supervisor  {}", if status.supervisor { "answers" } else { "does not answer" }),
    ];
    if status.launchers.is_empty() {
        lines.push("launcher    none; `bot-bottle up` runs one".to_owned());
    }
    lines.extend(status.launchers.iter().map(|launcher| {
        let backends = inert(&launcher.backends.join(", "), 100);
        format!("launcher    {} on {} ({backends})", launcher.launcher, inert(&launcher.host, 100))
    }));
    lines.push(format!("bottles     {}", status.bottles));
    lines.join("\n")
}

/// Asks for a change that cannot succeed, since no bottle has this name and no policy this revision: an answer is an
/// answer.
async fn supervisor_answers(bus: &Bus) -> Result<bool, BusError> {
    let Ok(bottle) = "status-00000".parse() else { return Ok(false) };
    let change = Change::RemoveRoute { host: String::new() };
    let ask =
        PolicyChange { v: Default::default(), bottle, base: u64::MAX, change, confirm: Confirm::Stored };
    match bus.request(&ask, DEADLINE).await {
        Ok(_) => Ok(true),
        Err(BusError::NoResponders { .. } | BusError::Deadline { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The launchers that gave a sign of life lately.
async fn launchers(bus: &Bus, clock: &Clock) -> Result<Vec<LauncherRecord>, BusError> {
    let bucket = bus.bucket(&layout::LAUNCHER_BEATS);
    let mut alive = Vec::new();
    for key in bucket.keys().await? {
        let Some(beat) = bucket.get(&key).await? else { continue };
        let silence = clock.now().duration_since(beat.value.at);
        if silence.unsigned_abs() < SILENCE {
            alive.push(beat.value);
        }
    }
    Ok(alive)
}

/// Whether some launcher would take a start.
pub async fn launcher_is_alive(context: &Context) -> bool {
    let Ok(bus) = context.operator().await else { return false };
    launchers(&bus, &context.clock).await.is_ok_and(|alive| !alive.is_empty())
}
