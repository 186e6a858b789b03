//! `proposals list`

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use base::id::ProposalId;
use base::inert;
use bus::message::proposal::{ProposalRecord, ProposalState};
use bus::{Malformed, Value, Watch, layout};
use jiff::Timestamp;

use super::show::Printed;
use crate::args::proposals::List;
use crate::commands::list::age;
use crate::context::{Context, OrBus as _};
use crate::deciding::card;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Prints what waits; with `--watch` also what comes of it, until interrupted.
///
/// # Errors
/// The bus does not answer.
pub(super) async fn run(context: &Context, args: &List) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let mut watch = bus.bucket(&layout::PROPOSED).watch().await.or_bus()?;
    let stored = stored(&mut watch, args).await?;
    let format = Format::from(args.format);
    if args.watch {
        for record in &stored {
            line(record, context.clock.now(), format)?;
        }
        return follow(context, args, &mut watch).await;
    }
    match format {
        Format::Json => {
            let all: Vec<_> = stored.iter().map(Printed::bare).collect();
            output::json(&all).context("cannot print the proposals")?;
        }
        Format::Text if stored.is_empty() => output::note("nothing waits for an answer"),
        Format::Text => output::line(&table(&stored, context.clock.now())),
    }
    Ok(Exit::Ok)
}

/// What is there already, oldest first.
async fn stored(watch: &mut Watch<ProposalRecord>, args: &List) -> Result<Vec<ProposalRecord>, Failure> {
    let mut records: BTreeMap<ProposalId, ProposalRecord> = BTreeMap::new();
    while let Some(change) = watch.stored().await.or_bus()? {
        if let Some(record) = readable(change.value) {
            records.insert(record.proposal.clone(), record);
        }
    }
    let mut records: Vec<_> = records.into_values().filter(|record| is_wanted(record, args)).collect();
    records.retain(|record| args.all || record.is_open());
    records.sort_by(|a, b| (a.first, &a.proposal).cmp(&(b.first, &b.proposal)));
    Ok(records)
}

/// A line for each change. What has ended is shown as it ends, whatever `--all` says.
async fn follow(context: &Context, args: &List, watch: &mut Watch<ProposalRecord>) -> Result<Exit, Failure> {
    let mut printed = HashMap::new();
    loop {
        let change = watch.next().await.or_bus()?;
        if let Some(record) = readable(change.value).filter(|record| is_wanted(record, args))
            && is_news(&mut printed, &record)
        {
            line(&record, context.clock.now(), args.format.into())?;
        }
    }
}

/// Whether a line would say something else than the last one. That an end was told is no news.
fn is_news(printed: &mut HashMap<ProposalId, (&'static str, u64)>, record: &ProposalRecord) -> bool {
    let says = (state(record), record.count);
    if matches!(record.state, ProposalState::Resolved { told: true, .. }) {
        return printed.remove(&record.proposal) != Some(says);
    }
    printed.insert(record.proposal.clone(), says) != Some(says)
}

fn is_wanted(record: &ProposalRecord, args: &List) -> bool {
    args.bottle.as_ref().is_none_or(|bottle| *bottle == record.bottle)
}

fn readable(value: Option<Result<Value<ProposalRecord>, Malformed>>) -> Option<ProposalRecord> {
    match value? {
        Ok(value) => Some(value.value),
        Err(malformed) => {
            output::note(&format!("a proposal that cannot be read: {}", inert(&malformed.to_string(), 300)));
            None
        }
    }
}

fn line(record: &ProposalRecord, now: Timestamp, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&Printed::bare(record)).context("cannot print a proposal")?,
        Format::Text => output::line(&row(record, now).join("  ")),
    }
    Ok(())
}

fn table(records: &[ProposalRecord], now: Timestamp) -> String {
    let rows: Vec<_> = records.iter().map(|record| row(record, now)).collect();
    output::table(&["PROPOSAL", "BOTTLE", "AGE", "TIMES", "STATE", "KIND", "ASKS FOR"], &rows)
}

fn row(record: &ProposalRecord, now: Timestamp) -> Vec<String> {
    vec![
        record.proposal.to_string(),
        record.bottle.to_string(),
        age(now.duration_since(record.first).as_secs()),
        record.count.to_string(),
        state(record).to_owned(),
        record.content.kind().as_str().to_owned(),
        card::summary(&record.content),
    ]
}

fn state(record: &ProposalRecord) -> &'static str {
    match &record.state {
        ProposalState::Pending { failed: None } => "waits",
        ProposalState::Pending { failed: Some(_) } => "failed",
        ProposalState::Applying { .. } => "applying",
        ProposalState::Resolved { resolved, .. } => card::outcome(resolved.outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deciding::card::tests::{egress, now, record};

    #[test]
    fn an_end_is_told_once() {
        let mut printed = HashMap::new();
        let mut record = egress("p1", "me-00000", "docs.example");
        assert!(is_news(&mut printed, &record) && !is_news(&mut printed, &record));
        record.count = 2;
        assert!(is_news(&mut printed, &record));
        let resolved = serde_json::json!({ "v": 1, "bottle": "me-00000", "proposal": "p1", "outcome": "rejected",
            "at": "2026-11-21T12:00:00Z" });
        let ended = |told: bool| {
            serde_json::from_value(
                serde_json::json!({ "is": "resolved", "told": told, "resolved": resolved }),
            )
            .unwrap()
        };
        record.state = ended(false);
        assert!(is_news(&mut printed, &record));
        record.state = ended(true);
        assert!(!is_news(&mut printed, &record) && printed.is_empty());
        assert!(is_news(&mut printed, &record));
    }

    #[test]
    fn a_line_of_a_hostile_proposal_is_one_line() {
        let hostile = serde_json::json!({ "kind": "workflow-change", "repo": "r\u{1b}[31m", "name": "refs/heads/x\np2 y",
            "new": "ab", "paths": [".github/workflows/\u{202e}a.yml"] });
        let mut second = record("p2", "you-00000", hostile);
        second.state = ProposalState::Pending { failed: Some("no".to_owned()) };
        insta::assert_snapshot!(table(&[egress("p1", "me-00000", "docs.example"), second], now()), @r#"
        PROPOSAL  BOTTLE     AGE  TIMES  STATE   KIND             ASKS FOR
        p1        me-00000   3m   1      waits   egress           https://docs.example GET to /docs and below
        p2        you-00000  3m   1      failed  workflow-change  r\u{1b}[31m refs/heads/x\np2 y: .github/workflows/\u{202e}a.yml
        "#);
    }
}
