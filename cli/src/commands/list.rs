//! `list`: what runs, and what ran.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use base::id::Slug;
use base::inert;
use bus::message::record::{BottleRecord, BottleState, CommitRecord};
use bus::{Bus, BusError, layout};
use jiff::Timestamp;

use crate::args::List;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};

/// Prints the bottles, newest last.
///
/// # Errors
/// The bus does not answer.
pub async fn run(context: &Context, args: &List) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let mut records = records(&bus).await.or_bus()?;
    records.retain(|record| args.all || record.state.is_live());
    if Format::from(args.format) == Format::Json {
        output::json(&records).context("cannot print the list")?;
    } else if records.is_empty() {
        output::note(if args.all {
            "no bottles"
        } else {
            "no bottles run; `list --all` shows those that are over"
        });
    } else {
        output::line(&render(&records, context.clock.now()));
    }
    Ok(Exit::Ok)
}

/// The record of a bottle that somebody named.
///
/// # Errors
/// There is none, or the bus does not answer.
pub async fn known(bus: &Bus, bottle: &Slug) -> Result<BottleRecord, Failure> {
    let found = bus.bucket(&layout::BOTTLES).get(bottle.as_str()).await.or_bus()?;
    let missing = || anyhow!("there is no bottle {bottle}; `bot-bottle list --all` shows them");
    found.map(|found| found.value).ok_or_else(missing).or_exit(Exit::NotFound)
}

/// Every recorded bottle, oldest first. Records that another release wrote are passed over with a note.
///
/// # Errors
/// The bus does not answer.
pub async fn records(bus: &Bus) -> Result<Vec<BottleRecord>, BusError> {
    let mut watch = bus.bucket(&layout::BOTTLES).watch().await?;
    let mut bottles = BTreeMap::new();
    while let Some(change) = watch.stored().await? {
        match change.value {
            Some(Ok(value)) => drop(bottles.insert(change.key, value.value)),
            Some(Err(malformed)) => output::note(&format!("bottle {}: {malformed}", inert(&change.key, 80))),
            None => drop(bottles.remove(&change.key)),
        }
    }
    let mut records: Vec<_> = bottles.into_values().collect();
    records.sort_by_key(|record| record.created_at);
    Ok(records)
}

fn render(records: &[BottleRecord], now: Timestamp) -> String {
    let mut rows: Vec<_> = records.iter().map(|record| row(record, now)).collect();
    let mut header = vec!["BOTTLE", "STATE", "LABEL", "BACKEND", "AGE", "NOTE"];
    // Most programs have no sessions.
    if records.iter().any(|record| record.session.is_some()) {
        header.splice(5..5, ["TURN", "SESSION"]);
        for (row, record) in rows.iter_mut().zip(records) {
            row.splice(5..5, session(record));
        }
    }
    if records.iter().any(|record| record.commit.is_some()) {
        let last = header.len() - 1;
        header.insert(last, "COMMIT");
        for (row, record) in rows.iter_mut().zip(records) {
            let ago = |commit: &CommitRecord| age(now.duration_since(commit.at).as_secs());
            row.insert(last, record.commit.as_ref().map(ago).unwrap_or_default());
        }
    }
    output::table(&header, &rows)
}

/// Which run of which session.
fn session(record: &BottleRecord) -> [String; 2] {
    let turn = record.session.as_ref().map(|session| session.turns.to_string());
    let id = record.session.as_ref().and_then(|session| session.id.as_deref());
    [turn.unwrap_or_default(), id.map(|id| inert(id, 80)).unwrap_or_default()]
}

fn row(record: &BottleRecord, now: Timestamp) -> Vec<String> {
    let note = match (&record.note, record.code) {
        (Some(note), _) => inert(note, 120),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => String::new(),
    };
    vec![
        record.bottle.to_string(),
        state(record.state).to_owned(),
        inert(&record.label, 64),
        isolation(&record.backend, record.runtime.as_deref()),
        age(now.duration_since(record.created_at).as_secs()),
        note,
    ]
}

/// A backend, with its container runtime where it has one.
#[must_use]
pub fn isolation(backend: &str, runtime: Option<&str>) -> String {
    let backend = inert(backend, 20);
    match runtime {
        Some(runtime) => format!("{backend}/{}", inert(runtime, 20)),
        None => backend,
    }
}

/// A state in one word.
#[must_use]
pub fn state(state: BottleState) -> &'static str {
    match state {
        BottleState::Starting => "starting",
        BottleState::Running => "running",
        BottleState::Settling => "settling",
        BottleState::Exited => "exited",
        BottleState::Failed => "failed",
        BottleState::Lost => "lost",
    }
}

/// Seconds as a person says them.
#[must_use]
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..=119 => format!("{s}s"),
        s @ 120..=7199 => format!("{}m", s / 60),
        s @ 7200..=172_799 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_label_is_shown_inert() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let record = BottleRecord {
            v: Default::default(),
            bottle: "reviewer-x1y2z".parse().unwrap(),
            request: "r1".parse().unwrap(),
            attempt: 1,
            agent: "reviewer".parse().unwrap(),
            bottles: vec![],
            launcher: "l1".parse().unwrap(),
            backend: "namespace".to_owned(),
            runtime: None,
            state: BottleState::Exited,
            label: "\u{1b}[31mred\nroot-00000  running".to_owned(),
            color: None,
            created_at: at,
            updated_at: at,
            code: Some(3),
            note: None,
            session: None,
            commit: None,
            dockerfile: None,
        };
        let mut resumed = record.clone();
        resumed.session = Some(bus::message::record::SessionRecord {
            provider: "command".to_owned(),
            id: Some("0c\u{1b}f4".to_owned()),
            turns: 2,
            transcript: None,
            resumed_from: None,
            resumed_as: None,
        });
        resumed.backend = "docker".to_owned();
        resumed.runtime = Some("run\tsc".to_owned());
        let shown = render(&[record.clone(), resumed], at + jiff::SignedDuration::from_mins(7));
        insta::assert_snapshot!(shown, @r"
        BOTTLE          STATE   LABEL                               BACKEND         AGE  TURN  SESSION     NOTE
        reviewer-x1y2z  exited  \u{1b}[31mred\nroot-00000  running  namespace       7m                     exit code 3
        reviewer-x1y2z  exited  \u{1b}[31mred\nroot-00000  running  docker/run\tsc  7m   2     0c\u{1b}f4  exit code 3
        ");
        insta::assert_snapshot!(render(&[record], at + jiff::SignedDuration::from_mins(7)), @r"
        BOTTLE          STATE   LABEL                               BACKEND    AGE  NOTE
        reviewer-x1y2z  exited  \u{1b}[31mred\nroot-00000  running  namespace  7m   exit code 3
        ");
    }
}
