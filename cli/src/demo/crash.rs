//! The launcher is killed in the middle of a run.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bus::message::event::Event;
use bus::message::run::Started;
use bus::{Follow, Since, layout};

use super::first::{next_of, started_or_failed};
use super::report::Report;
use super::world::{ALLOWED_HOST, World};

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

pub(super) async fn play(world: &mut World, report: &mut Report) -> anyhow::Result<()> {
    // It ends when the origin says so, and not before: however fast the machine, the kill comes in its middle.
    let program = format!(
        "until [ \"$(curl -sS https://{ALLOWED_HOST}/api/may-i-end)\" = yes ]; do sleep 0.05; done; echo finished"
    );
    world.write_agent("patient", &["sh", "-c", &program])?;
    tokio::time::timeout(LIMIT, run(world, report)).await.context("the crash was not over in time")?
}

async fn run(world: &mut World, report: &mut Report) -> anyhow::Result<()> {
    let mut events = world.bus.follow::<Event>(layout::EVENTS, ">", Since::Now).await?;
    let request = world.ask_for("patient", None).await?;
    let first = started(&mut events, &request).await?;
    let before = processes(&world.marker);
    world.kill_launcher().await?;
    while !processes(&world.marker).is_empty() {
        tokio::time::sleep(POLL).await;
    }
    let ok = !before.is_empty();
    report.line(
        "launcher killed mid-run",
        ok,
        &format!("{} processes of the bottle died with it", before.len()),
    );

    world.start_launcher().await?;
    let second = started(&mut events, &request).await?;
    let ok = second.attempt == 2 && second.bottle != first.bottle;
    report.line("the run is redelivered", ok, &format!("attempt {} as {}", second.attempt, second.bottle));
    let left = world.state_of(&first.bottle);
    let evidence = left.as_ref().map_or("no state directory".to_owned(), |path| path.display().to_string());
    report.line("nothing is left of the first", left.is_none(), &evidence);

    world.origin.let_end();
    let exited = next_of(&mut events, |event| match event {
        Event::Exited(exited) if exited.request == request => Some(exited),
        _ => None,
    });
    let exited = exited.await?;
    let ok = exited.bottle == second.bottle && exited.code == 0;
    report.line("and ends", ok, &format!("{} with exit code {}", exited.bottle, exited.code));
    Ok(())
}

async fn started(events: &mut Follow<Event>, request: &base::id::RequestId) -> anyhow::Result<Started> {
    let started = next_of(events, |event| started_or_failed(event, request)).await?;
    started.map_err(|reason| anyhow!("the bottle did not start: {reason}"))
}

/// The processes of this machine that have the marker in their environment.
pub(super) fn processes(marker: &str) -> Vec<u32> {
    let Ok(entries) = Path::new("/proc").read_dir() else { return Vec::new() };
    let marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(marker.len()).any(|window| window == marker.as_bytes())
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(marked).collect()
}
