//! A decision in words. Whoever forged a record may have put anything into it, so all of it is shown inert.

use bus::message::audit::Decision;
use bus::message::egress::{Allowed, Found, Outcome};

use crate::deciding::card;
use crate::words;

const WIDTH: usize = 400;

/// What was decided, in one line.
pub(super) fn describe(decision: &Decision) -> String {
    inert(&words_of(decision))
}

/// What is left of a text that may be inert already: its escapes stay as they are.
fn inert(text: &str) -> String {
    let shown = text.split('\\').map(|part| base::inert(part, WIDTH)).collect::<Vec<_>>().join("\\");
    cut(&shown)
}

fn cut(shown: &str) -> String {
    match shown.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown.to_owned(),
    }
}

/// A line for each request of a batch.
pub(super) fn lines(decision: &Decision) -> impl Iterator<Item = String> {
    let lines = match decision {
        Decision::Allowed { lines, .. } => lines.as_slice(),
        _ => &[],
    };
    lines.iter().map(|line| inert(&request(line)))
}

fn words_of(decision: &Decision) -> String {
    match decision {
        Decision::Opened { key } => format!("signed by {key}"),
        Decision::Checkpoint { key, read } => {
            let read: Vec<_> = read.iter().map(|read| format!("{} {}", read.stream, read.sequence)).collect();
            format!("signed by {key} after {}", read.join(", "))
        }
        Decision::Allowed { batch, lines } => format!("batch {batch}: requests {}", lines.len()),
        Decision::Blocked { method, scheme, host, path, rule, status, found, .. } => {
            let found = found.as_ref().map_or_else(String::new, |found| format!(" ({})", finding(found)));
            format!("{status} {rule} {method} {scheme}://{host}{path}{found}")
        }
        Decision::PolicyRunning { revision, refused: None } => format!("revision {revision} runs"),
        Decision::PolicyRunning { revision, refused: Some(refused) } => {
            format!("revision {} refused: {}; revision {revision} runs", refused.revision, refused.reason)
        }
        Decision::PushAccepted { repo, refs, more_refs, objects } => {
            format!("{repo}: {} refs, {objects} objects", refs.len() as u64 + more_refs)
        }
        Decision::PushRejected { repo, reason, .. } => format!("{repo}: {reason}"),
        Decision::Started { agent, backend, launcher, attempt, .. } => {
            format!("{agent} under {backend} by launcher {launcher}, attempt {attempt}")
        }
        Decision::Committed { archive, entries, bytes, .. } => {
            format!("{archive}: {entries} files and directories, {bytes} bytes")
        }
        Decision::Exited { reason, code, .. } => format!("{}, exit code {code}", words::exit(*reason)),
        Decision::Failed { kind, reason, .. } => format!("{}: {reason}", words::failure(*kind)),
        Decision::Resolved { .. } => resolved(decision),
        Decision::Unreadable { subject, bytes, sha256, reason } => {
            format!("{subject}: {reason}; {bytes} bytes, SHA-256 {sha256}")
        }
        Decision::Gap { stream, from, through } => {
            format!("{stream} {from} to {through} were gone before they could be recorded")
        }
    }
}

fn resolved(decision: &Decision) -> String {
    let Decision::Resolved { proposal, outcome, revision, reason, answer, .. } = decision else {
        return String::new();
    };
    let who = answer.as_ref().map_or_else(String::new, |answer| format!(" by {}", answer.operator));
    let reason = answer.as_ref().and_then(|answer| answer.reason.as_ref()).or(reason.as_ref());
    let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let runs = revision.map_or_else(String::new, |revision| format!(", revision {revision}"));
    format!("{proposal} {}{who}{runs}{why}", card::outcome(*outcome))
}

fn request(line: &Allowed) -> String {
    let Allowed { method, scheme, host, path, status, found, .. } = line;
    let found: String = found.iter().map(|found| format!(" ({})", finding(found))).collect();
    let unseen = if line.is_unscanned { " (passed unseen)" } else { "" };
    format!("{status} {method} {scheme}://{host}{path}{unseen}{found}")
}

fn finding(found: &Found) -> String {
    let outcome = match found.outcome {
        Outcome::Blocked => "blocked",
        Outcome::Held => "held",
        Outcome::Approved => "approved",
        Outcome::Redacted => "redacted",
        Outcome::Warned => "warned",
    };
    format!("{} in {}: {outcome}", found.detector, found.surface)
}
