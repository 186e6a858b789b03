//! From a start request on the bus to the first command inside a bottle, with the services as `bot-bottle up` runs them.

use anyhow::Context as _;
use bus::message::run::Started;

use crate::host::{Host, Run};
use crate::report::{Number, Report, median};

const FIRST_COMMAND: &str = "namespace_first_command_ms";
const RUNS: usize = 25;
/// The program says what time it is as soon as it runs.
const BOTTLE: &str = "---\nagent_provider: {template: command, argv: [date, \"+%s.%N\"], prompt: none}\negress: {routes: [{host: api.example.com}]}\n---\n";

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// The services do not start, or a bottle does not.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[FIRST_COMMAND]) {
        return Ok(());
    }
    let files = [("bottles/clock.md", BOTTLE), ("agents/clock.md", "---\nbottle: clock\n---\n")];
    let host = Host::up(&files, &[]).await.context("starting the services")?;
    let mut totals = Vec::new();
    let mut steps: Vec<(String, Vec<f64>)> = Vec::new();
    // The first one fills caches, as the first of a day does; it is not counted.
    for round in 0..=RUNS {
        let (total, started) = launch(&host).await?;
        if round == 0 {
            continue;
        }
        totals.push(total);
        for step in started.steps {
            match steps.iter_mut().find(|(name, _)| *name == step.step) {
                Some((_, times)) => times.push(step.ms),
                None => steps.push((step.step, vec![step.ms])),
            }
        }
    }
    host.down().await?;
    let total = median(totals.clone());
    report.add(FIRST_COMMAND, Number { value: total, unit: "ms", over: None });
    for (name, times) in steps {
        let time = median(times);
        report.remark(&format!("{name:10} {time:7.1} ms  {:4.0} %", 100.0 * time / total));
    }
    totals.sort_by(f64::total_cmp);
    let slowest = totals.last().copied().unwrap_or(f64::NAN);
    report.remark(&format!("of {RUNS} launches the slowest took {slowest:.1} ms"));
    Ok(())
}

/// Milliseconds until the program said what time it was, and the steps of its launch.
async fn launch(host: &Host) -> anyhow::Result<(f64, Started)> {
    let Run { asked, started, exited } = host.run(&Host::request("clock")?).await?;
    let said = exited.result.context("the program said nothing")?;
    let ran: f64 = said.trim().parse().context("the program said no time")?;
    Ok(((ran - asked) * 1000.0, started))
}
