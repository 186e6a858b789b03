//! Bottles in containers of an engine of their own, beside the same containers started by hand with plain calls to it.

mod by_hand;

use std::time::Duration;

use anyhow::{Context as _, bail};
use base::id::{RequestId, Slug};
use bus::message::event::Event;
use bus::message::run::Started;
use bus::message::start::{StartRequest, StopRequest};
use bus::{Bus, Since, layout};
use harness::Engine;

use self::by_hand::ByHand;
use crate::host::{Host, now};
use crate::report::{Number, Over, Report, median};

const FIRST_COMMAND: &str = "docker_first_command_ms";
const OVERHEAD: &str = "docker_overhead_ms";
const TEARDOWN: &str = "docker_teardown_vs_engine";
const TWENTY: &str = "docker_20_bottles_s";
const RUNS: usize = 15;
const MANY: usize = 20;
const LIMIT: Duration = Duration::from_secs(120);
/// Says what time it is as soon as it runs, and stays.
const BOTTLE: &str = "---\nagent_provider: {template: command, argv: [sh, -c, \"date +%s.%N; exec sleep 600\"], prompt: none}\negress: {routes: [{host: api.example.com}]}\n---\n";

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// The engine or the services do not start, or a bottle does not.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[FIRST_COMMAND, OVERHEAD, TEARDOWN, TWENTY]) {
        return Ok(());
    }
    let options = engine::Options { base: true, ..engine::Options::default() };
    let Some(engine) = tokio::task::block_in_place(|| Engine::start(&options)) else {
        report.remark("bottles in containers were not measured: no engine can run here");
        return Ok(());
    };
    let settings = format!("backend: docker\nconcurrency: {MANY}\n");
    let files = [
        ("settings.yaml", settings.as_str()),
        ("bottles/clock.md", BOTTLE),
        ("agents/clock.md", "---\nbottle: clock\n---\n"),
    ];
    let address = format!("unix://{}", engine.socket().display());
    let host = Host::up(&files, &[("DOCKER_HOST", &address)]).await.context("starting the services")?;
    let by_hand = ByHand::at(engine.socket())?;
    let measured = async {
        one_by_one(report, &host, &by_hand).await?;
        many(report, &host).await
    };
    let measured = measured.await;
    host.down().await?;
    measured
}

/// Ours and the containers by hand in turn.
async fn one_by_one(report: &mut Report, host: &Host, by_hand: &ByHand) -> anyhow::Result<()> {
    let (mut ours, mut pairs, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_ends, mut pair_ends, mut alone_ends) = (Vec::new(), Vec::new(), Vec::new());
    // The first ones fill caches; they are not counted.
    for round in 0..=RUNS {
        let mut bottles = together(host, 1).await?;
        let bottle = bottles.pop().context("no bottle")?;
        let ended = end(&host.bus, std::slice::from_ref(&bottle.started.bottle)).await?;
        let pair = by_hand.run(2).await?;
        let single = by_hand.run(1).await?;
        if round > 0 {
            ours.push(bottle.ms);
            our_ends.push(ended);
            pairs.push(pair.first_command);
            pair_ends.push(pair.end);
            alone.push(single.first_command);
            alone_ends.push(single.end);
        }
    }
    let [ours, pair, alone] = [ours, pairs, alone].map(median);
    let [our_end, pair_end, alone_end] = [our_ends, pair_ends, alone_ends].map(median);
    report.add(FIRST_COMMAND, Number { value: ours, unit: "ms", over: None });
    let over = Over { name: "by hand", value: pair, unit: "ms" };
    report.add(OVERHEAD, Number { value: ours - pair, unit: "ms", over: Some(over) });
    report.remark(&format!(
        "the agent's container alone, by hand: {alone:.1} ms, beyond which ours are {:.1}",
        ours - alone
    ));
    let over = Over { name: "by hand", value: pair_end, unit: "ms" };
    report.add(TEARDOWN, Number { value: our_end / pair_end, unit: "", over: Some(over) });
    report.remark(&format!("ours {our_end:.1} ms; the agent's container alone, by hand: {alone_end:.1} ms"));
    Ok(())
}

/// As many as nobody starts by hand, at once.
async fn many(report: &mut Report, host: &Host) -> anyhow::Result<()> {
    let bottles = together(host, MANY).await?;
    let slowest = bottles.iter().map(|bottle| bottle.ms).fold(0.0, f64::max);
    let names: Vec<Slug> = bottles.into_iter().map(|bottle| bottle.started.bottle).collect();
    let ended = end(&host.bus, &names).await?;
    report.add(TWENTY, Number { value: slowest / 1000.0, unit: "s", over: None });
    report.remark(&format!(
        "until the last of {MANY} said its word; their end, asked for at once, took {:.1} s",
        ended / 1000.0
    ));
    Ok(())
}

/// A bottle that runs.
struct Running {
    started: Started,
    /// From the request to its first command.
    ms: f64,
}

/// Starts so many bottles at once, and waits for their words.
async fn together(host: &Host, count: usize) -> anyhow::Result<Vec<Running>> {
    let running = async {
        let mut events = host.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await?;
        let requests =
            (0..count).map(|_| Host::request("clock")).collect::<anyhow::Result<Vec<StartRequest>>>()?;
        let asked = now();
        futures::future::try_join_all(requests.iter().map(|request| host.bus.publish(request))).await?;
        let is_ours = |id: &RequestId| requests.iter().any(|request| request.id == *id);
        let mut running = Vec::new();
        while running.len() < count {
            match events.next().await?.message? {
                Event::Started(started) if is_ours(&started.request) => {
                    let ms = (host.first_word(&started.bottle).await? - asked) * 1000.0;
                    running.push(Running { started, ms });
                }
                Event::Failed(failed) => bail!("a bottle did not start: {}", failed.reason),
                _ => {}
            }
        }
        Ok(running)
    };
    tokio::time::timeout(LIMIT, running).await.context("bottles took too long to start")?
}

/// Has bottles killed; returns the milliseconds until nothing is left of them.
async fn end(bus: &Bus, bottles: &[Slug]) -> anyhow::Result<f64> {
    let ending = async {
        let mut events = bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await?;
        let asked = now();
        let stops: Vec<StopRequest> = bottles
            .iter()
            .map(|bottle| StopRequest { v: Default::default(), bottle: bottle.clone(), grace_ms: Some(0) })
            .collect();
        futures::future::try_join_all(stops.iter().map(|stop| bus.request(stop, LIMIT))).await?;
        let mut left = bottles.len();
        while left > 0 {
            if let Event::Exited(exited) = events.next().await?.message?
                && bottles.contains(&exited.bottle)
            {
                left -= 1;
            }
        }
        Ok((now() - asked) * 1000.0)
    };
    tokio::time::timeout(LIMIT, ending).await.context("bottles took too long to end")?
}
