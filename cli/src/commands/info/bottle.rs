//! `info` of a bottle: what the registry knows about it.

use anyhow::Context as _;
use base::id::Slug;
use base::inert;
use bus::message::record::BottleRecord;

use crate::commands::{commit, list};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Prints it.
///
/// # Errors
/// There is no such bottle, or the bus does not answer.
pub(super) async fn run(context: &Context, bottle: &Slug, format: Format) -> Result<Exit, Failure> {
    let record = list::known(&context.operator().await?, bottle).await?;
    match format {
        Format::Json => output::json(&record).context("cannot print the bottle")?,
        Format::Text => output::line(&render(&record)),
    }
    Ok(Exit::Ok)
}

fn render(record: &BottleRecord) -> String {
    let bottles: Vec<&str> = record.bottles.iter().map(base::id::BottleName::as_str).collect();
    let mut rows = vec![
        ("bottle", record.bottle.to_string()),
        ("label", inert(&record.label, 64)),
        ("state", list::state(record.state).to_owned()),
        ("agent", record.agent.to_string()),
        ("bottles", bottles.join(", ")),
        ("launcher", record.launcher.to_string()),
        ("began", record.created_at.to_string()),
    ];
    rows.extend(record.code.map(|code| ("exit code", code.to_string())));
    if let Some(session) = &record.session {
        let id = session.id.as_deref().map_or_else(|| "not told".to_owned(), |id| inert(id, 80));
        rows.push(("session", format!("{id} ({}, turn {})", inert(&session.provider, 60), session.turns)));
        let stored =
            session.transcript.as_deref().map_or_else(|| "none stored".to_owned(), |name| inert(name, 80));
        rows.push(("transcript", stored));
        rows.extend(session.resumed_from.as_ref().map(|bottle| ("goes on from", bottle.to_string())));
        rows.extend(session.resumed_as.as_ref().map(|bottle| ("went on as", bottle.to_string())));
    }
    if let Some(commit) = &record.commit {
        rows.push(("commit", commit::describe(commit)));
        rows.push(("archive", inert(&commit.archive, 120)));
        rows.extend(commit.image.as_ref().map(|image| ("its image", inert(&image.pin, 200))));
    }
    rows.extend(record.note.as_deref().map(|note| ("note", inert(note, 500))));
    rows.iter().map(|(name, value)| format!("{name:<12} {value}")).collect::<Vec<_>>().join("\n")
}
