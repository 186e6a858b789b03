//! `proposals show`

use anyhow::Context as _;
use bus::message::proposal::ProposalRecord;
use bus::message::revision::PolicyRevision;
use serde::Serialize;

use crate::args::proposals::Show;
use crate::context::Context;
use crate::deciding::{Line, card};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format, Paint, paint};

/// What `--json` prints of a proposal.
#[derive(Serialize)]
pub(super) struct Printed<'a> {
    #[serde(flatten)]
    record: &'a ProposalRecord,
    summary: String,
    /// The bottle's policy revision; what `--revision` of an answer takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    /// What an approval would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Vec<String>>,
}

impl<'a> Printed<'a> {
    /// Without what only one of them is worth.
    pub(super) fn bare(record: &'a ProposalRecord) -> Self {
        Self { record, summary: card::summary(&record.content), revision: None, effect: None }
    }

    fn whole(record: &'a ProposalRecord, current: Option<&PolicyRevision>) -> Self {
        let effect = current.filter(|_| record.is_open()).map(|current| effect(record, current));
        Self { revision: current.map(|current| current.revision), effect, ..Self::bare(record) }
    }
}

fn effect(record: &ProposalRecord, current: &PolicyRevision) -> Vec<String> {
    match crate::deciding::preview::approval(record, &current.policy) {
        Ok(lines) => lines.iter().map(|line| text(line).to_owned()).collect(),
        Err(why) => vec![format!("it cannot be approved as it is: {why}")],
    }
}

/// Prints one proposal.
///
/// # Errors
/// There is none of this id, or the bus does not answer.
pub(super) async fn run(context: &Context, args: &Show) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let record = super::known(&bus, &args.proposal).await?;
    let current = super::policy(&bus, &record.bottle).await?;
    match args.format.into() {
        Format::Json => {
            output::json(&Printed::whole(&record, current.as_ref())).context("cannot print the proposal")?;
        }
        Format::Text => output::line(&render(&card::lines(&record, current.as_ref(), context.clock.now()))),
    }
    Ok(Exit::Ok)
}

/// A card as text.
pub(crate) fn render(lines: &[Line]) -> String {
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(line: &Line) -> String {
    match line {
        Line::Field(name, value) => format!("{name:<12} {value}"),
        Line::Heading(text) => format!("\n{text}"),
        Line::Plain(text) => format!("  {text}"),
        Line::Warning(text) => format!("{} {text}", paint(Paint::Yellow, "warning")),
        Line::Gone(text) => paint(Paint::Red, &format!("  {text}")),
        Line::Come(text) => paint(Paint::Green, &format!("  {text}")),
    }
}

fn text(line: &Line) -> &str {
    match line {
        Line::Field(_, text)
        | Line::Heading(text)
        | Line::Plain(text)
        | Line::Warning(text)
        | Line::Gone(text)
        | Line::Come(text) => text,
    }
}
