//! What is posted to a pull request (D7). Nothing that an agent wrote can notify anybody, be read as markup or end the
//! part that it is shown in.

use std::fmt::Write as _;

use bus::message::pr::{PrEnd, PrTurn, ReportedStatus};
use bus::message::run::ExitReason;

use crate::event;
use crate::text::{bounded, visible};

/// Bytes of an answer that are shown.
const ANSWER: usize = 16 << 10;
/// Refusals and proposals that are listed.
pub(crate) const LISTED: usize = 10;

/// What is known about a run beside its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What its bottle was refused, in words, at most ten.
    pub blocked: Vec<String>,
    /// How much it was refused.
    pub blocked_count: usize,
    /// What waits for a person, or waited when the bottle ended, in words.
    pub waiting: Vec<String>,
    /// How much of that there is.
    pub waiting_count: usize,
}

/// The line by which an answer is found again. The account that wrote it is looked at too.
#[must_use]
pub fn marker(turn: &PrTurn) -> String {
    format!("<!-- bot-bottle {} -->", turn.start.id)
}

/// Renders the comment of a run.
#[must_use]
pub fn render(turn: &PrTurn, facts: &Facts) -> String {
    let mut text = format!("**{}**, turn {}: {}\n", turn.start.agent, turn.turn, state(turn));
    let events: Vec<String> = turn
        .events
        .iter()
        .map(|queued| format!("{} by {}", event::name(&queued.event.what), code(&queued.event.actor.login)))
        .collect();
    let _ = write!(text, "\nIt answers: {}.", events.join(", "));
    if let Some(bottle) = &turn.bottle {
        let _ = write!(text, " Bottle {}.", code(bottle.as_str()));
    }
    text.push('\n');
    if let Some(note) = &turn.note {
        let _ = write!(text, "\n{}\n", code(note));
    }
    if let Some(end) = &turn.end {
        if let Some(failure) = &end.failure {
            let _ = write!(text, "\nWhat went wrong:\n\n{}", fenced(failure));
        }
        if let Some(result) = end.result.as_deref().filter(|result| !result.trim().is_empty()) {
            let _ = write!(text, "\n{}", fenced(result));
        }
    }
    list(&mut text, "Refused", &facts.blocked, facts.blocked_count);
    let waits = if turn.end.is_some() { "Asked for, and not answered" } else { "Waits for an operator" };
    list(&mut text, waits, &facts.waiting, facts.waiting_count);
    let _ = write!(text, "\n{}\n", marker(turn));
    text
}

/// The commit status of a run, and its words.
#[must_use]
pub fn status(turn: &PrTurn) -> (ReportedStatus, &'static str) {
    match &turn.end {
        None => (ReportedStatus::Pending, "the agent is at it"),
        Some(PrEnd { is_success: true, .. }) => (ReportedStatus::Success, "the agent has answered"),
        Some(PrEnd { reason: Some(_), .. }) => (ReportedStatus::Failure, "the agent did not end well"),
        Some(_) => (ReportedStatus::Error, "the agent could not be run"),
    }
}

fn state(turn: &PrTurn) -> &'static str {
    match &turn.end {
        None if turn.bottle.is_none() => "about to run",
        None => "running",
        Some(end) => match end.reason {
            Some(ExitReason::Completed) if end.is_success => "done",
            Some(ExitReason::Completed) => "failed",
            Some(ExitReason::Stopped) => "stopped",
            Some(ExitReason::TimeLimit) => "ended at its time limit",
            Some(ExitReason::DiskLimit) => "ended at its disk limit",
            Some(ExitReason::SidecarLost | ExitReason::BoundaryLost) => "ended for its bottle's sake",
            None => "could not be run",
        },
    }
}

fn list(text: &mut String, what: &str, items: &[String], count: usize) {
    if items.is_empty() {
        return;
    }
    let _ = write!(text, "\n{what}:\n\n");
    for item in items {
        let _ = writeln!(text, "- {}", code(item));
    }
    if count > items.len() {
        let _ = writeln!(text, "- and {} more", count - items.len());
    }
}

/// One line, as code.
fn code(text: &str) -> String {
    let text = base::inert(text, 300).replace('`', "'");
    format!("`{}`", if text.is_empty() { " ".to_owned() } else { text })
}

/// A text as a block of code that nothing in it can end. Forges look for neither mentions nor references in code.
fn fenced(text: &str) -> String {
    let text = in_code(&bounded(text, ANSWER));
    let longest = text.split(|c| c != '~').map(str::len).max().unwrap_or_default();
    let fence = "~".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// As a prompt shows it, but for HTML comments, which are seen in code as they are.
pub(crate) fn in_code(text: &str) -> String {
    text.split("<!--").map(visible).collect::<Vec<_>>().join("<!--")
}

#[cfg(test)]
mod tests;
