//! From the gate to upstream: exactly the objects that were judged, to refs that are still where the judge saw them.

mod adopt;
mod porcelain;
mod settle;

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::child::{self, Ended};
use crate::gate::Gate;
use crate::mirror::Mirror;
use crate::progress::Progress;
use crate::push::{Push, Update};
use crate::reference::RefName;
pub(crate) use adopt::adopt;
use porcelain::Fate;
pub(crate) use settle::{settle, settle_all};

/// Bytes that git may say of the refs.
const STATUSES: usize = 4 << 20;
/// Lines of git's complaint that are told.
const TOLD: usize = 8;

/// What upstream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it was taken.
    Taken,
    /// Nothing of it was taken.
    Refused {
        /// Lines for a person, inert.
        reason: String,
        /// What stands beside single refs.
        refs: Vec<(RefName, String)>,
    },
    /// Upstream was asked, and its answer was lost.
    Unknown {
        /// Lines for a person, inert.
        reason: String,
    },
}

/// Asks upstream to take a push that was judged.
pub(crate) async fn push(gate: &Gate, mirror: &Mirror, push: &Push, progress: &Progress) -> Outcome {
    let _lease = mirror.upstream.connect().await;
    let mut command = mirror.upstream.command(&gate.git, &mirror.path);
    arguments(&mut command, push, mirror.upstream.url());
    let hear = |line: &str| {
        if let Some(words) = line.strip_prefix("remote:") {
            progress.say(&format!("upstream: {}", words.trim()));
        }
    };
    let ended = child::finish(command, b"", STATUSES, gate.upstream(), hear).await;
    match ended {
        Ok(ended) => match outcome(&ended, &push.updates) {
            Some(outcome) => outcome,
            None => look(mirror, push, &complaint(&ended)).await,
        },
        Err(failure) => look(mirror, push, &base::inert(&base::error::chain(&failure), 500)).await,
    }
}

fn arguments(command: &mut Command, push: &Push, url: &str) {
    alternate(command, push.quarantine.as_deref());
    command.args([
        "push",
        "--porcelain",
        "--no-verify",
        "--no-signed",
        "--no-follow-tags",
        "--recurse-submodules=no",
    ]);
    if push.updates.len() > 1 {
        // All or none; an upstream that cannot do that gets one ref at a time.
        command.arg("--atomic");
    }
    for Update { name, old, .. } in &push.updates {
        let old = old.as_ref().map_or("", |old| old.as_str());
        command.arg(format!("--force-with-lease={name}:{old}"));
    }
    for option in &push.options {
        command.arg(format!("--push-option={option}"));
    }
    command.args(["--", url]);
    for Update { name, new, .. } in &push.updates {
        let new = new.as_ref().map_or("", |new| new.as_str());
        command.arg(format!("{new}:{name}"));
    }
}

/// Lets git find what lies in quarantine.
fn alternate(command: &mut Command, quarantine: Option<&Path>) {
    if let Some(quarantine) = quarantine {
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quarantine);
    }
}

/// What git says that upstream said. `None`: it does not say.
fn outcome(ended: &Ended, updates: &[Update]) -> Option<Outcome> {
    let said = String::from_utf8_lossy(&ended.out);
    let fates = porcelain::read(&said);
    let fate = |update: &Update| fates.iter().find(|(name, _)| *name == update.name.as_str());
    if ended.status.success() {
        let is_all = updates.iter().all(|update| matches!(fate(update), Some((_, Fate::Moved))));
        return is_all.then_some(Outcome::Taken);
    }
    let refused: Vec<_> = updates
        .iter()
        .filter_map(|update| match fate(update) {
            Some((_, Fate::Refused(reason))) => Some((update.name.clone(), reason.clone())),
            _ => None,
        })
        .collect();
    let is_certain = refused.len() == updates.len();
    let (name, first) = refused.first()?;
    let reason = if first == porcelain::STALE {
        format!("upstream has another {name} by now; fetch first")
    } else {
        format!("upstream refused {name}: {first}")
    };
    is_certain.then_some(Outcome::Refused { reason, refs: refused })
}

fn complaint(ended: &Ended) -> String {
    let first = ended.complaints.len().saturating_sub(TOLD);
    let lines = ended.complaints[first..].iter().filter(|line| !line.starts_with("remote:"));
    lines.map(|line| base::inert(line, 300)).collect::<Vec<_>>().join("\n")
}

/// Where git does not say what became of a push, upstream itself does.
async fn look(mirror: &Mirror, push: &Push, complaint: &str) -> Outcome {
    match mirror.fresh(Duration::ZERO, crate::gate::PATIENCE).await {
        Ok(view) => {
            let is_there = |update: &Update| view.refs.get(update.name.as_str()) == update.new.as_ref();
            if push.updates.iter().all(is_there) {
                return Outcome::Taken;
            }
            let reason = format!("upstream did not take this push:\n{complaint}");
            Outcome::Refused { reason, refs: Vec::new() }
        }
        Err(stale) => {
            let reason = format!(
                "upstream's answer was lost; fetch to see whether it took this push:\n{complaint}\n{stale}"
            );
            Outcome::Unknown { reason }
        }
    }
}

#[cfg(test)]
mod tests;
