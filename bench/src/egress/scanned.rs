//! The same with all default detectors on: what scanning costs.

use std::time::Instant;

use super::child::Child;
use super::client::Way;
use super::duel::{self, Contest};
use super::load::Asks;
use super::mitmproxy;
use super::sidecar::Sidecar;
use super::{BODY_MIB, HOST, MIB};
use crate::report::{Number, Over, Report, median};

const RPS: &str = "egress_scan_rps_vs_hudsucker";
const MITMPROXY: &str = "egress_scan_rps_vs_mitmproxy";
const P50: &str = "egress_scan_added_p50_vs_hudsucker";
const P99: &str = "egress_scan_added_p99_vs_hudsucker";
const UPLOAD: &str = "egress_scan_upload_vs_plain";
const BODY: &str = "egress_scan_large_body_extra_mib";
const EVENTS: &str = "egress_sse_delay_ms";

/// All of this module's benchmarks.
pub(super) const NAMES: [&str; 7] = [RPS, MITMPROXY, P50, P99, UPLOAD, BODY, EVENTS];

const CONTEST: Contest = Contest { asks: Asks::Post, scans: true, rps: RPS, added: &[(50, P50), (99, P99)] };
const UPLOADS: usize = 5;
const STREAMS: usize = 40;

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// A process does not start, or a request does not get its answer.
pub(super) async fn run(report: &mut Report, origin: &Child, direct: &Way) -> anyhow::Result<()> {
    if report.wants(&[RPS, P50, P99]) {
        duel::run(report, origin, direct, &CONTEST).await?;
    }
    if report.wants(&[MITMPROXY]) {
        mitmproxy::run(report, MITMPROXY, origin).await?;
    }
    if report.wants(&[UPLOAD]) {
        uploads(report, origin).await?;
    }
    if report.wants(&[BODY]) {
        large_body(report, origin).await?;
    }
    if report.wants(&[EVENTS]) {
        events(report, origin, direct).await?;
    }
    Ok(())
}

/// The time of an upload without a scan over the time of one with it.
async fn uploads(report: &mut Report, origin: &Child) -> anyhow::Result<()> {
    let sidecars = [Sidecar::start(origin, false)?, Sidecar::start(origin, true)?];
    let mut ratios = Vec::new();
    let mut plain_rate = Vec::new();
    for _ in 0..UPLOADS {
        let mut seconds = [0.0; 2];
        for (sidecar, seconds) in sidecars.iter().zip(&mut seconds) {
            let mut connection = sidecar.way(origin)?.connect(HOST).await?;
            connection.get("/").await?;
            let begun = Instant::now();
            connection.upload(BODY_MIB).await?;
            *seconds = begun.elapsed().as_secs_f64();
        }
        ratios.push(seconds[0] / seconds[1]);
        plain_rate.push(BODY_MIB as f64 / seconds[0]);
    }
    let over = Some(Over { name: "without a scan", value: median(plain_rate), unit: "MiB/s" });
    report.add(UPLOAD, Number { value: median(ratios), unit: "ratio", over });
    Ok(())
}

async fn large_body(report: &mut Report, origin: &Child) -> anyhow::Result<()> {
    let sidecar = Sidecar::start(origin, true)?;
    let mut connection = sidecar.way(origin)?.connect(HOST).await?;
    connection.get("/").await?;
    let before = sidecar.memory("VmRSS")?;
    connection.get(&format!("/big/{BODY_MIB}")).await?;
    connection.upload(BODY_MIB).await?;
    let extra = (sidecar.memory("VmHWM")? - before) / MIB;
    report.add(BODY, Number { value: extra, unit: "MiB", over: None });
    Ok(())
}

/// How much later than without a proxy the first event of a stream arrives.
async fn events(report: &mut Report, origin: &Child, direct: &Way) -> anyhow::Result<()> {
    let sidecar = Sidecar::start(origin, true)?;
    let (mut ours, mut direct) = (sidecar.way(origin)?.connect(HOST).await?, direct.connect(HOST).await?);
    let mut delays = Vec::new();
    for _ in 0..STREAMS {
        let (through, straight) = (ours.first_event().await?, direct.first_event().await?);
        delays.push((through.as_secs_f64() - straight.as_secs_f64()) * 1000.0);
    }
    report.add(EVENTS, Number { value: median(delays), unit: "ms", over: None });
    Ok(())
}
