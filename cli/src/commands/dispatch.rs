//! `dispatch`: what pull requests start, have started, and would start.

mod test;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use base::id::RequestId;
use base::inert;
use bus::layout::{PR_DELIVERIES, PR_SESSIONS};
use bus::message::pr::{PrSession, PrState};
use sha2::{Digest as _, Sha256};

use crate::args::Json;
use crate::args::dispatch::Dispatch;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};

/// Does what is asked.
///
/// # Errors
/// The bus does not answer, there is no such delivery, or a file is wrong.
pub async fn run(context: &Context, args: Dispatch) -> Result<Exit, Failure> {
    match args {
        Dispatch::List(format) => list(context, format).await,
        Dispatch::Test(args) => test::run(context, &args),
        Dispatch::Replay { delivery } => replay(context, &delivery).await,
    }
}

async fn list(context: &Context, format: Json) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let mut watch = bus.bucket(&PR_SESSIONS).watch().await.or_bus()?;
    let mut sessions = BTreeMap::new();
    while let Some(change) = watch.stored().await.or_bus()? {
        match change.value {
            Some(Ok(found)) => drop(sessions.insert(change.key, found.value)),
            Some(Err(malformed)) => output::note(&format!("{}: {malformed}", inert(&change.key, 80))),
            None => drop(sessions.remove(&change.key)),
        }
    }
    let sessions: Vec<PrSession> = sessions.into_values().collect();
    match Format::from(format) {
        Format::Json => output::json(&sessions).context("cannot print the list")?,
        Format::Text if sessions.is_empty() => output::note("no pull request is known"),
        Format::Text => output::line(&render(&sessions)),
    }
    Ok(Exit::Ok)
}

fn render(sessions: &[PrSession]) -> String {
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    output::table(
        &["PULL REQUEST", "STATE", "AGENT", "RUNS", "TURN", "WAIT", "BOTTLE", "LATEST DELIVERIES"],
        &rows,
    )
}

fn row(session: &PrSession) -> Vec<String> {
    let state = match (session.state, &session.run) {
        (PrState::Closed, _) => "closed",
        (PrState::Open, Some(_)) => "running",
        (PrState::Open, None) if !session.answers.is_empty() => "answering",
        (PrState::Open, None) => "open",
    };
    let bottle = session.run.as_ref().and_then(|run| run.bottle.as_ref()).or(session.bottle.as_ref());
    let turn = session.run.as_ref().map_or(session.turns, |run| run.turn);
    let latest: Vec<String> = session
        .noted
        .iter()
        .rev()
        .take(3)
        .map(|noted| {
            let verdict = serde_json::to_value(noted.verdict).ok();
            let verdict =
                verdict.as_ref().and_then(|verdict| verdict.as_str()).unwrap_or_default().to_owned();
            format!(
                "{} by {}: {verdict} ({})",
                inert(&noted.event, 20),
                inert(&noted.actor, 40),
                inert(&noted.delivery, 64)
            )
        })
        .collect();
    let agent = session.run.as_ref().map(|run| &run.start.agent).or(session.agent.as_ref());
    vec![
        inert(&format!("{}#{}", session.repo, session.number), 120),
        state.to_owned(),
        agent.map_or_else(String::new, ToString::to_string),
        session.runs.to_string(),
        turn.to_string(),
        session.queued.len().to_string(),
        bottle.map_or_else(String::new, ToString::to_string),
        latest.join(", "),
    ]
}

async fn replay(context: &Context, delivery: &str) -> Result<Exit, Failure> {
    // What is one token of a subject can be a key.
    delivery.parse::<RequestId>().map_err(|_| unknown(delivery)).or_exit(Exit::NotFound)?;
    let bus = context.operator().await?;
    let found = bus.bucket(&PR_DELIVERIES).get(delivery).await.or_bus()?;
    let mut event = found.ok_or_else(|| unknown(delivery)).or_exit(Exit::NotFound)?.value.event;
    // It is meant to be another event than the one before.
    event.delivery = format!("replay-{}", RequestId::random());
    event.digest = hex::encode(Sha256::digest(event.delivery.as_bytes()));
    event.at = context.clock.now();
    bus.publish(&event).await.or_bus()?;
    output::line(&format!(
        "brought again as {}; `bot-bottle dispatch list` shows what becomes of it",
        event.delivery
    ));
    Ok(Exit::Ok)
}

fn unknown(delivery: &str) -> anyhow::Error {
    let delivery = inert(delivery, 64);
    anyhow!(
        "no delivery {delivery} of the last 7 days is known; `bot-bottle dispatch list` shows the latest ones"
    )
}
