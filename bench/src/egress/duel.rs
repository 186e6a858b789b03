//! Ours against the rival, at one connection and at many. What is compared ran within the same second: each round has
//! one short run of each, in an order that turns around from round to round, and gives one ratio or difference; the
//! median of those counts. A process may lie well on the cores for all of its life, so both start anew several times.

use anyhow::Context as _;
use std::time::Duration;

use super::child::Child;
use super::client::Way;
use super::load::{self, Asks, Outcome};
use super::sidecar::Sidecar;
use super::{P50, RIVAL, RPS};
use crate::report::{Number, Over, Report, median};

/// How often both start anew.
const SITTINGS: usize = 6;
/// For each number of connections.
const ROUNDS: usize = 10;
const RUN: Duration = Duration::from_millis(300);
/// One, where each request waits for the one before it, and as many as fill the cores.
const CONNECTIONS: [usize; 2] = [1, 32];

/// One run of each.
struct Round {
    direct: Option<Outcome>,
    ours: Outcome,
    rival: Outcome,
}

/// What the two do, and what the numbers are called.
pub(super) struct Contest {
    pub(super) asks: Asks,
    /// Whether ours looks at what it forwards; the rival never does.
    pub(super) scans: bool,
    pub(super) rps: &'static str,
    /// Added latency, by percentile.
    pub(super) added: &'static [(usize, &'static str)],
}

/// Forwarding alone.
pub(super) const PLAIN: Contest = Contest { asks: Asks::Get, scans: false, rps: RPS, added: &[(50, P50)] };

/// Measures requests per second and the added latency, as far as they are wanted.
///
/// # Errors
/// A process does not start, or a request does not get its answer.
pub(super) async fn run(
    report: &mut Report,
    origin: &Child,
    direct: &Way,
    contest: &Contest,
) -> anyhow::Result<()> {
    let connections = if report.wants(&[contest.rps]) { &CONNECTIONS[..] } else { &CONNECTIONS[..1] };
    let mut rounds: Vec<Vec<Round>> = connections.iter().map(|_| Vec::new()).collect();
    for _ in 0..SITTINGS {
        let rival = Child::start(RIVAL, &[&origin.address.to_string(), &origin.certificate]).await?;
        let (rival, ours) = (Way::through(&rival, origin)?, Sidecar::start(origin, contest.scans)?);
        let ours = ours.way(origin)?;
        for (connections, rounds) in connections.iter().zip(&mut rounds) {
            let direct = Some(direct).filter(|_| *connections == 1);
            for index in 0..ROUNDS {
                rounds
                    .push(round(contest.asks, *connections, direct, (&ours, &rival), index % 2 == 0).await?);
            }
        }
    }
    if report.wants(&[contest.rps]) {
        requests_per_second(report, contest.rps, connections, &rounds)?;
    }
    for (percent, name) in contest.added {
        if report.wants(&[name]) {
            added_latency(report, (*percent, name), rounds.first().context("no rounds")?);
        }
    }
    Ok(())
}

async fn round(
    asks: Asks,
    connections: usize,
    direct: Option<&Way>,
    (ours, rival): (&Way, &Way),
    ours_first: bool,
) -> anyhow::Result<Round> {
    let direct = match direct {
        Some(direct) => Some(load::run(direct, asks, connections, RUN).await?),
        None => None,
    };
    let (first, second) = if ours_first { (ours, rival) } else { (rival, ours) };
    let first = load::run(first, asks, connections, RUN).await?;
    let second = load::run(second, asks, connections, RUN).await?;
    let (ours, rival) = if ours_first { (first, second) } else { (second, first) };
    Ok(Round { direct, ours, rival })
}

fn requests_per_second(
    report: &mut Report,
    name: &'static str,
    connections: &[usize],
    rounds: &[Vec<Round>],
) -> anyhow::Result<()> {
    let mut lowest: Option<Number> = None;
    for (connections, rounds) in connections.iter().zip(rounds) {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let rival = of(|round| round.rival.per_second());
        let ratio = of(|round| round.ours.per_second() / round.rival.per_second());
        report.remark(&format!(
            "{connections:2} connections: {:.0}/s, hudsucker {rival:.0}/s, ratio {ratio:.3}; processor time of a request \
             {:.1} µs, hudsucker {:.1} µs",
            of(|round| round.ours.per_second()),
            of(|round| round.ours.processor_micros()),
            of(|round| round.rival.processor_micros()),
        ));
        if lowest.as_ref().is_none_or(|lowest| ratio < lowest.value) {
            let over = Some(Over { name: "hudsucker", value: rival, unit: "requests/s" });
            lowest = Some(Number { value: ratio, unit: "ratio", over });
        }
    }
    report.add(name, lowest.context("no run")?);
    Ok(())
}

fn added_latency(report: &mut Report, (percent, name): (usize, &'static str), rounds: &[Round]) {
    let of = |value: &dyn Fn(&Round, f64) -> f64| {
        let direct =
            |round: &Round| round.direct.as_ref().map_or(f64::NAN, |direct| direct.percentile(percent));
        median(rounds.iter().map(|round| value(round, direct(round))).collect())
    };
    let ours = of(&|round, direct| round.ours.percentile(percent) - direct);
    let rival = of(&|round, direct| round.rival.percentile(percent) - direct);
    let direct = of(&|_, direct| direct);
    report.remark(&format!("p{percent} added: {ours:.1} µs, hudsucker {rival:.1} µs; direct {direct:.1} µs"));
    let over = Some(Over { name: "hudsucker", value: rival, unit: "µs" });
    report.add(name, Number { value: ours / rival, unit: "ratio", over });
}
