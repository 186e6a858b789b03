//! The egress proxy, beside hudsucker with a handler that does nothing, and beside no proxy at all. Origin, proxies
//! and load are processes on loopback; each run of one is followed by a run of the others, so that what else the
//! machine does meets all of them.

mod child;
mod client;
mod duel;
mod load;
mod mitmproxy;
pub(crate) mod origin;
pub(crate) mod rival;
mod scanned;
mod sidecar;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use child::Child;
use client::Way;
use sidecar::Sidecar;

use crate::report::{Number, Report, median};

/// The first argument that makes this program the origin.
pub(crate) const ORIGIN: &str = "egress-origin";
/// The first argument that makes this program the rival.
pub(crate) const RIVAL: &str = "egress-rival";
/// The names that the origin proves.
const DOMAIN: &str = "bench.example.com";
/// The host of all requests that need no new one.
const HOST: &str = "api.bench.example.com";

const NEW_HOSTS: usize = 60;
const STARTS: usize = 15;
const MIB: f64 = 1024.0 * 1024.0;
const BODY_MIB: u64 = 100;

const RPS: &str = "egress_rps_vs_hudsucker";
const P50: &str = "egress_added_p50_vs_hudsucker";
const NEW_HOST: &str = "egress_new_host_extra_ms";
const RSS: &str = "egress_idle_rss_mib";
const START: &str = "egress_start_ms";
const BODY: &str = "egress_large_body_extra_mib";

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// A process does not start, or a request does not get its answer.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[RPS, P50, NEW_HOST, RSS, START, BODY]) && !report.wants(&scanned::NAMES) {
        return Ok(());
    }
    let origin = Child::start(ORIGIN, &[]).await.context("starting the origin")?;
    let direct = Way::direct(&origin)?;
    if report.wants(&[RPS, P50]) {
        duel::run(report, &origin, &direct, &duel::PLAIN).await?;
    }
    scanned::run(report, &origin, &direct).await?;
    if report.wants(&[NEW_HOST]) {
        new_host(report, &origin, &direct).await?;
    }
    if report.wants(&[RSS, START]) {
        starts(report, &origin).await?;
    }
    if report.wants(&[BODY]) {
        large_body(report, &origin).await?;
    }
    Ok(())
}

async fn new_host(report: &mut Report, origin: &Child, direct: &Way) -> anyhow::Result<()> {
    let sidecar = Sidecar::start(origin, false)?;
    let ours = sidecar.way(origin)?;
    let (mut of_ours, mut of_direct) = (Vec::new(), Vec::new());
    for index in 0..NEW_HOSTS {
        let host = format!("host{index}.{DOMAIN}");
        for (way, times) in [(direct, &mut of_direct), (&ours, &mut of_ours)] {
            let begun = Instant::now();
            way.connect(&host).await?.get("/").await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let (ours, direct) = (median(of_ours), median(of_direct));
    report.remark(&format!("first request: {ours:.2} ms, direct {direct:.2} ms"));
    report.add(NEW_HOST, Number { value: ours - direct, unit: "ms", over: None });
    Ok(())
}

async fn starts(report: &mut Report, origin: &Child) -> anyhow::Result<()> {
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begun = Instant::now();
        let sidecar = Sidecar::start(origin, false)?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        sidecar.way(origin)?.connect(HOST).await?.get("/").await?;
        // It reads the host's authorities in the background; they are part of what it keeps.
        tokio::time::sleep(Duration::from_millis(300)).await;
        sizes.push(sidecar.memory("VmRSS")? / MIB);
    }
    if report.wants(&[START]) {
        report.add(START, Number { value: median(times), unit: "ms", over: None });
    }
    if report.wants(&[RSS]) {
        report.add(RSS, Number { value: median(sizes), unit: "MiB", over: None });
    }
    Ok(())
}

async fn large_body(report: &mut Report, origin: &Child) -> anyhow::Result<()> {
    let sidecar = Sidecar::start(origin, false)?;
    let mut connection = sidecar.way(origin)?.connect(HOST).await?;
    connection.get("/").await?;
    let before = sidecar.memory("VmHWM")?;
    let begun = Instant::now();
    connection.get(&format!("/big/{BODY_MIB}")).await?;
    connection.upload(BODY_MIB).await?;
    report.remark(&format!("{:.0} MiB/s", 2.0 * BODY_MIB as f64 / begun.elapsed().as_secs_f64()));
    let extra = (sidecar.memory("VmHWM")? - before) / MIB;
    report.add(BODY, Number { value: extra, unit: "MiB", over: None });
    Ok(())
}
