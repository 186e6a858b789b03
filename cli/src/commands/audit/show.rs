//! `audit show`: records for people, or for programs.

use anyhow::Context as _;
use base::inert;
use bus::message::audit::{AuditRecord, Component, Decision};
use bus::message::egress::Outcome;
use bus::{Record, Since, layout};

use super::describe::{describe, lines};
use crate::args::audit::{HELD, REDACTED, Show};
use crate::commands::events;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format, Paint, paint};

/// Prints the records that the filters leave, oldest first.
///
/// # Errors
/// The bus does not answer.
pub(super) async fn run(context: &Context, args: &Show) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let since = args.since.map_or(Ok(Since::All), |minutes| events::ago(context, minutes))?;
    let filter = args.component.as_deref().map_or_else(|| ">".to_owned(), |part| format!("audit.{part}"));
    let mut trail = bus.follow::<AuditRecord>(layout::AUDIT, &filter, since).await.or_bus()?;
    while let Some(record) = trail.stored().await.or_bus()? {
        show(&record, args)?;
    }
    Ok(Exit::Ok)
}

fn show(record: &Record<AuditRecord>, args: &Show) -> anyhow::Result<()> {
    let json = Format::from(args.format) == Format::Json;
    match &record.message {
        Ok(message) if !wanted(message, args) => {}
        Ok(message) if json => output::json(message).context("cannot print a record")?,
        Ok(message) => output::line(&text(message)),
        Err(malformed) => {
            let what = format!("record {} cannot be read: {malformed}", record.sequence);
            output::note(&inert(&what, 400));
        }
    }
    Ok(())
}

fn wanted(record: &AuditRecord, args: &Show) -> bool {
    let of_bottle = args.bottle.is_none() || args.bottle == record.bottle;
    let of_kind = match args.kind.as_deref() {
        None => {
            args.component.is_some() || record.component != Component::Trail || is_alarm(&record.decision)
        }
        Some(HELD) => is_held(&record.decision),
        Some(REDACTED) => is_redacted(&record.decision),
        Some(kind) => record.decision.name() == kind,
    };
    of_bottle && of_kind
}

fn is_alarm(decision: &Decision) -> bool {
    matches!(decision, Decision::Gap { .. })
}

fn is_held(decision: &Decision) -> bool {
    let Decision::Blocked { found: Some(found), .. } = decision else { return false };
    found.outcome == Outcome::Held
}

fn is_redacted(decision: &Decision) -> bool {
    let Decision::Allowed { lines, .. } = decision else { return false };
    lines.iter().flat_map(|line| &line.found).any(|found| found.outcome == Outcome::Redacted)
}

fn text(record: &AuditRecord) -> String {
    let at = record.at.strftime("%Y-%m-%d %H:%M:%S");
    let bottle = record.bottle.as_ref().map_or("-", |bottle| bottle.as_str());
    let decision = &record.decision;
    let head = format!("{:>6}  {at}  {bottle}  {}", record.sequence, decision.name());
    let what = describe(decision);
    let what = match decision {
        Decision::Blocked { .. } | Decision::PushRejected { .. } => paint(Paint::Yellow, &what),
        Decision::Failed { .. } | Decision::Gap { .. } | Decision::Unreadable { .. } => {
            paint(Paint::Red, &what)
        }
        _ => what,
    };
    let below = lines(decision).map(|line| format!("\n        {line}"));
    format!("{head}  {what}{}", below.collect::<String>())
}

#[cfg(test)]
mod tests;
