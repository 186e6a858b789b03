//! The first bottle: what the agent can do, what it cannot, and a route that is added while it runs.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base::id::Slug;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::event::Event;
use bus::message::revision::{Change, Confirm, PolicyChange, PolicyChangeReply};
use bus::message::run::{Exited, Output, OutputStream, Started};
use bus::{Follow, Since, layout};
use serde::Deserialize;

use super::pushes;
use super::report::Report;
use super::world::{ALLOWED_HOST, DROP_ZONE, LATER_HOST, PASTE_HOST, World};
use crate::commands::logs;
use crate::words;

const PROGRAM: &str = include_str!("agent.py");
/// For the whole bottle.
const LIMIT: Duration = Duration::from_secs(90);

/// A line of the agent's output.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Result { scenario: String, ok: bool, evidence: String },
    Ask { ask: String },
}

pub(super) async fn play(world: &World, report: &mut Report) -> anyhow::Result<()> {
    world.write_agent("visitor", &["python3", "-"])?;
    tokio::time::timeout(LIMIT, run(world, report)).await.context("the first bottle did not end in time")?
}

async fn run(world: &World, report: &mut Report) -> anyhow::Result<()> {
    let mut events = world.bus.follow::<Event>(layout::EVENTS, ">", Since::Now).await?;
    let request = world.ask_for("visitor", Some(PROGRAM)).await?;
    let started = match next_of(&mut events, |event| started_or_failed(event, &request)).await? {
        Ok(started) => started,
        Err(reason) => bail!("the bottle did not start: {reason}"),
    };
    let total: f64 = started.steps.iter().map(|step| step.ms).sum();
    report.line(
        "bottle.start",
        true,
        &format!("{} runs after {total:.0} ms ({})", started.bottle, started.backend),
    );
    let mut pieces = logs::follow(&world.bus, &started.bottle).await?;
    let mut words = Words::default();
    let mut person = world.person().await?;
    let mut refused = Vec::new();
    let (mut accepted, mut rejected) = (0, Vec::new());
    let exited = loop {
        tokio::select! {
            event = events.next() => match event?.message {
                Ok(Event::Blocked(blocked)) if blocked.bottle == started.bottle => refused.push(blocked.rule),
                Ok(Event::PushAccepted(push)) if push.bottle == started.bottle => accepted += 1,
                Ok(Event::PushRejected(push)) if push.bottle == started.bottle => rejected.push(push.reason),
                Ok(Event::Exited(exited)) if exited.bottle == started.bottle => break exited,
                _ => {}
            },
            card = person.card(&started.bottle) => {
                let (ok, evidence) = person.grant_less(card?, "GET", "/docs/").await?;
                report.line("a person grants less", ok, &evidence);
            }
            piece = pieces.next() => heed(world, report, &started.bottle, words.take(&piece?.message?)?).await?,
        }
    };
    while let Some(piece) = pieces.stored().await? {
        heed(world, report, &started.bottle, words.take(&piece.message?)?).await?;
    }
    judge(world, report, &refused, &exited);
    pushes::judge(world, report, accepted, &rejected).await
}

/// What only the outside can tell.
fn judge(world: &World, report: &mut Report, refused: &[String], exited: &Exited) {
    let seen = world.origin.seen();
    let wanted = format!("Bearer {}", world.token.expose());
    let calls: Vec<_> = seen.iter().filter(|seen| seen.host.starts_with(ALLOWED_HOST)).collect();
    let real =
        !calls.is_empty() && calls.iter().all(|call| call.authorization.as_deref() == Some(wanted.as_str()));
    let evidence = format!("{} requests to {ALLOWED_HOST}, each with the injected token", calls.len());
    report.line("origin saw the real token", real, &evidence);
    let strays: Vec<_> = calls
        .iter()
        .filter(|call| {
            !(call.method == "GET" && (call.path.starts_with("/api/") || call.path == "/docs/guide"))
        })
        .collect();
    report.line(
        "nothing refused reached it",
        strays.is_empty(),
        &format!("{} refused requests arrived", strays.len()),
    );
    let pasted = seen.iter().filter(|seen| seen.host.starts_with(PASTE_HOST)).count();
    let dropped = seen.iter().filter(|seen| seen.host.ends_with(DROP_ZONE)).count();
    let evidence = format!("{pasted} harmless requests to {PASTE_HOST}, {dropped} below {DROP_ZONE}");
    report.line("no secret reached it", (pasted, dropped) == (2, 0), &evidence);
    let rules = refused.iter().collect::<std::collections::BTreeSet<_>>();
    report.line(
        "refusals are events",
        refused.len() >= 3,
        &format!("{} on the bus, rules {rules:?}", refused.len()),
    );
    report.line(
        "bottle.exited",
        exited.code == 0,
        &format!("{}, exit code {}", words::exit(exited.reason), exited.code),
    );
}

async fn heed(world: &World, report: &mut Report, bottle: &Slug, words: Vec<Word>) -> anyhow::Result<()> {
    for word in words {
        match word {
            Word::Result { scenario, ok, evidence } => report.line(&scenario, ok, &evidence),
            Word::Ask { ask } if ask == "add route" => add_route(world, report, bottle).await?,
            Word::Ask { ask } => bail!("the agent asks for {}", base::inert(&ask, 80)),
        }
    }
    Ok(())
}

async fn add_route(world: &World, report: &mut Report, bottle: &Slug) -> anyhow::Result<()> {
    let change = Change::AddRoute { route: Box::new(world.route(LATER_HOST)) };
    let change = PolicyChange {
        v: Default::default(),
        bottle: bottle.clone(),
        base: 1,
        change,
        confirm: Confirm::Running,
    };
    let reply = world.bus.request(&change, Duration::from_secs(15)).await?;
    let ok = reply == PolicyChangeReply::Running { revision: 2 };
    report.line("policy change is confirmed", ok, &format!("the supervisor answers: {}", answer(&reply)));
    Ok(())
}

fn answer(reply: &PolicyChangeReply) -> String {
    match reply {
        PolicyChangeReply::Running { revision } => format!("the proxy runs revision {revision}"),
        PolicyChangeReply::Stored { revision } => format!("revision {revision} is only stored"),
        PolicyChangeReply::Unconfirmed { revision } => format!("nobody confirmed revision {revision}"),
        PolicyChangeReply::Conflict { current } => format!("the current revision is {current}"),
        PolicyChangeReply::Refused { reason } => reason.clone(),
    }
}

/// Puts the agent's output together to lines.
#[derive(Default)]
struct Words {
    partial: Vec<u8>,
}

impl Words {
    fn take(&mut self, piece: &Output) -> anyhow::Result<Vec<Word>> {
        if piece.stream == OutputStream::Stderr {
            return Ok(Vec::new());
        }
        self.partial.extend(BASE64_STANDARD.decode(&piece.data).context("the output is not base64")?);
        let mut words = Vec::new();
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            words.push(serde_json::from_slice(&line).context("the agent's report cannot be read")?);
        }
        Ok(words)
    }
}

/// The first event that `of` makes something of.
pub(super) async fn next_of<T>(
    events: &mut Follow<Event>,
    of: impl Fn(Event) -> Option<T>,
) -> anyhow::Result<T> {
    loop {
        if let Ok(event) = events.next().await?.message
            && let Some(found) = of(event)
        {
            return Ok(found);
        }
    }
}

/// How a request's launch went.
pub(super) fn started_or_failed(
    event: Event,
    request: &base::id::RequestId,
) -> Option<Result<Started, String>> {
    match event {
        Event::Started(started) if started.request == *request => Some(Ok(started)),
        Event::Failed(failed) if failed.request == *request => Some(Err(failed.reason)),
        _ => None,
    }
}
