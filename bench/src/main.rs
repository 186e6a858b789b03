//! The benchmarks: each measures one promise of `docs/performance.md` and prints a number. `ONLY=name` runs one; all
//! numbers go to `target/bench.json` as well.
//!
//! The programs that are measured run as processes of their own. Build them first, in the same profile:
//! `make build`; `make bench` does.

mod agent;
mod audit;
mod bottle;
mod container;
mod decisions;
mod egress;
mod gate;
mod host;
mod report;
mod scan;
mod screen;
mod webhook;

use anyhow::{Context as _, bail};
use report::Report;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match std::env::args().nth(1).as_deref() {
        None => runtime.block_on(run()),
        Some(egress::ORIGIN) => runtime.block_on(egress::origin::run()),
        Some(egress::RIVAL) => runtime.block_on(egress::rival::run()),
        Some(other) => bail!("{other:?} is none of this program's parts; run it without arguments"),
    }
}

async fn run() -> anyhow::Result<()> {
    let mut report = Report::new(std::env::var("ONLY").ok())?;
    agent::run(&mut report).await.context("measuring agents' programs")?;
    audit::run(&mut report).context("measuring the audit trail")?;
    bottle::run(&mut report).await.context("measuring the bottle")?;
    Box::pin(container::run(&mut report)).await.context("measuring containers")?;
    Box::pin(decisions::run(&mut report)).await.context("measuring decisions")?;
    egress::run(&mut report).await.context("measuring the egress proxy")?;
    Box::pin(gate::run(&mut report)).await.context("measuring the git gate")?;
    screen::run(&mut report).context("measuring the operator's screen")?;
    scan::run(&mut report).context("measuring the scanner")?;
    Box::pin(webhook::run(&mut report)).await.context("measuring webhooks")?;
    report.finish()
}
