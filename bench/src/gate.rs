//! What a git client pays for the gate: the real `bot-bottle-gitgate` between it and a real SSH server, beside the same
//! client and the same server without it, in turn.

mod client;
mod host;
mod sidecar;
mod sshd;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::report::{Number, Over, Report, median};
use client::Client;
use host::Host;
use sidecar::Sidecar;
use sshd::Sshd;

const PUSH: &str = "push_100_commits_extra_ms";
const CLONE: &str = "clone_200m_vs_direct";
const MEMORY: &str = "gate_large_clone_extra_mib";
const PUSHES: usize = 11;
const CLONES: usize = 5;
/// What is pushed.
const COMMITS: usize = 100;
const FILES: usize = 2000;
/// Bytes of the repository that is cloned, which no compression makes smaller.
const LARGE: usize = 200 << 20;

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// git, sshd, the bus or the gate do not start, or fail.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[PUSH, CLONE, MEMORY]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let host = Host::up().await.context("starting a bus")?;
    let sshd = Sshd::start(folder.path())?;
    let client = Client::new(folder.path(), &sshd)?;
    if report.wants(&[PUSH]) {
        pushes(report, &host, &sshd, &client, &folder).await.context("pushing")?;
    }
    if report.wants(&[CLONE, MEMORY]) {
        clones(report, &host, &sshd, &client, &folder).await.context("cloning")?;
    }
    host.down().await;
    Ok(())
}

async fn pushes(
    report: &mut Report,
    host: &Host,
    sshd: &Sshd,
    client: &Client,
    folder: &TempDir,
) -> anyhow::Result<()> {
    let (work, upstream) = (folder.path().join("work"), folder.path().join("upstream.git"));
    client.commits(&work, COMMITS, FILES)?;
    client.bare(&upstream, &work, "main")?;
    let gate = Sidecar::start(host, sshd, &upstream)?;
    let (direct, through) = (sshd.url(&upstream), gate.url());
    let (mut apart, mut extra) = (Vec::new(), Vec::new());
    for round in 0..PUSHES {
        let name = |way: &str| format!("agent/{way}-{round}");
        let time = |way: &str, url: &str| {
            let took = client.push(&work, url, &name(way));
            // The next push has to bring all of it again.
            took.and_then(|took| client.forget(&upstream, &name(way)).map(|()| took))
        };
        let (first, second) = match round % 2 {
            0 => (time("direct", &direct)?, time("gate", &through)?),
            _ => {
                let gate = time("gate", &through)?;
                (time("direct", &direct)?, gate)
            }
        };
        // The first ones fill caches.
        if round > 0 {
            apart.push(first);
            extra.push(second - first);
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let apart = median(apart);
    report.add(PUSH, Number { value: median(extra), unit: "ms", over: None });
    report.remark(&format!(
        "the same push straight to the same server takes {apart:.0} ms; medians of {}",
        PUSHES - 1
    ));
    Ok(())
}

async fn clones(
    report: &mut Report,
    host: &Host,
    sshd: &Sshd,
    client: &Client,
    folder: &TempDir,
) -> anyhow::Result<()> {
    let (work, upstream) = (folder.path().join("large"), folder.path().join("large.git"));
    client.large(&work, LARGE)?;
    client.bare(&upstream, &work, "main~0")?;
    let gate = Sidecar::start(host, sshd, &upstream)?;
    // The gate fetches the repository as soon as it starts; an agent that waits for that waits once.
    client.clone(&gate.url(), &folder.path().join("warm"))?;
    let before = gate.memory()?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for round in 0..CLONES {
        let target = |way: &str| folder.path().join(format!("{way}-{round}"));
        direct.push(client.clone(&sshd.url(&upstream), &target("direct"))?);
        through.push(client.clone(&gate.url(), &target("gate"))?);
    }
    let rate = |times: Vec<f64>| (LARGE >> 20) as f64 / median(times) * 1000.0;
    let (direct, through) = (rate(direct), rate(through));
    report.add(
        CLONE,
        Number {
            value: through / direct,
            unit: "ratio",
            over: Some(Over { name: "direct_clone", value: direct, unit: "MiB/s" }),
        },
    );
    let extra = (gate.memory()? - before) / f64::from(1 << 20);
    report.add(MEMORY, Number { value: extra, unit: "MiB", over: None });
    Ok(())
}

/// The milliseconds that something takes.
fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let begun = std::time::Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}

/// A path as an argument of git.
fn shown(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a temporary directory that is no text")
}
