//! What becomes of what is asked for: a card, a count on one that waits, or a refusal (S4). Pure.

use std::time::Duration;

use bus::message::Version;
use bus::message::proposal::{
    LONGEST_JUSTIFICATION, Outcome, ProposalKind, ProposalRecord, ProposalState, Proposed,
};
use jiff::Timestamp;
use manifest::{ProposalLimits, WallTime};

use super::arrival::objection;

/// How much a bottle may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Proposals of one bottle that may wait at once.
    pub pending: usize,
    /// New proposals of one bottle in a minute. Equal ones are counted, and do not count here.
    pub a_minute: usize,
    /// How long a proposal waits for a person, unless it says less.
    pub wait: Duration,
    /// The same for findings that a push excuses itself, which the pusher waits for.
    pub wait_gitleaks: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: 32,
            a_minute: 20,
            wait: Duration::from_secs(24 * 60 * 60),
            wait_gitleaks: Duration::from_secs(300),
        }
    }
}

impl From<ProposalLimits> for Limits {
    /// The operator's settings, and these limits where there are none.
    fn from(settings: ProposalLimits) -> Self {
        let own = Self::default();
        let number =
            |set: Option<u32>, own| set.map_or(own, |set| usize::try_from(set).unwrap_or(usize::MAX));
        let wait = settings.expire.map_or(own.wait, WallTime::duration);
        Self {
            pending: number(settings.pending, own.pending),
            a_minute: number(settings.per_minute, own.a_minute),
            wait,
            wait_gitleaks: own.wait_gitleaks.min(wait),
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Other ids of a proposal that are remembered.
const MOST_ALSO: usize = 64;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A new card, or one with a higher count.
    Waits(Box<ProposalRecord>),
    /// Nobody sees it.
    Refused(String),
    /// It was dealt with before.
    Seen,
}

/// Where and when the stream stored it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
}

/// Judges what a bottle asks for, by what is known of that bottle's proposals.
pub(crate) fn take(
    known: &[&ProposalRecord],
    asked: &Proposed,
    stored: Stored,
    limits: &Limits,
    now: Timestamp,
) -> Taken {
    let equal = || known.iter().filter(|record| record.hash == asked.hash);
    let is_seen = known.iter().any(|record| record.answers_to(&asked.proposal))
        || equal().any(|record| stored.sequence <= record.sequence);
    if is_seen {
        return Taken::Seen;
    }
    if let Some(objection) = objection(asked) {
        return Taken::Refused(objection);
    }
    if let Some(waits) = equal().find(|record| record.is_open()) {
        return Taken::Waits(Box::new(counted(waits, asked, stored)));
    }
    let last = equal().max_by_key(|record| record.sequence);
    let justification = asked.justification.as_deref().map(cut);
    if let Some(reason) = last.and_then(|last| nagging(last, justification.as_deref())) {
        return Taken::Refused(reason);
    }
    if let Some(reason) = too_much(known, stored.at, limits) {
        return Taken::Refused(reason);
    }
    let until = stored.at + wait(asked, limits);
    if until <= now {
        return Taken::Refused("it was read only after its time was over; ask again".to_owned());
    }
    let was_rejected = |record: &&&ProposalRecord| rejection(record).is_some();
    Taken::Waits(Box::new(ProposalRecord {
        v: Version,
        bottle: asked.bottle.clone(),
        proposal: asked.proposal.clone(),
        content: asked.content.clone(),
        hash: asked.hash.clone(),
        base: asked.base,
        before: None,
        justification,
        first: stored.at,
        last: stored.at,
        count: 1,
        sequence: stored.sequence,
        also: Vec::new(),
        asks_again: last.filter(was_rejected).map(|record| record.proposal.clone()),
        until,
        decided: None,
        state: ProposalState::Pending { failed: None },
    }))
}

fn counted(waits: &ProposalRecord, asked: &Proposed, stored: Stored) -> ProposalRecord {
    let mut record = waits.clone();
    record.count = record.count.saturating_add(1);
    (record.last, record.sequence) = (stored.at, stored.sequence);
    record.justification = asked.justification.as_deref().map(cut).or(record.justification);
    if record.also.len() == MOST_ALSO {
        record.also.remove(0);
    }
    record.also.push(asked.proposal.clone());
    record
}

fn wait(asked: &Proposed, limits: &Limits) -> Duration {
    let longest = match asked.content.kind() {
        ProposalKind::GitleaksAllow => limits.wait_gitleaks,
        _ => limits.wait,
    };
    asked.wait_seconds.map_or(longest, |seconds| Duration::from_secs(seconds).min(longest))
}

/// Why the bottle may ask nothing new now.
fn too_much(known: &[&ProposalRecord], at: Timestamp, limits: &Limits) -> Option<String> {
    let pending = known.iter().filter(|record| record.is_open()).count();
    if pending >= limits.pending {
        let most = limits.pending;
        return Some(format!(
            "{pending} of this bottle's proposals wait already, and {most} may; withdraw one, or wait"
        ));
    }
    let recent =
        known.iter().filter(|record| at.duration_since(record.first).unsigned_abs() < MINUTE).count();
    (recent >= limits.a_minute).then(|| {
        format!(
            "{recent} proposals within a minute are the most; wait, and ask for one thing that covers them"
        )
    })
}

/// The reason with which a person has rejected it, if one has.
fn rejection(record: &ProposalRecord) -> Option<&str> {
    match &record.state {
        ProposalState::Resolved { resolved, .. } if resolved.outcome == Outcome::Rejected => {
            Some(resolved.reason.as_deref().unwrap_or("no reason was given"))
        }
        _ => None,
    }
}

/// Why the same must not be asked again in the same words.
fn nagging(last: &ProposalRecord, justification: Option<&str>) -> Option<String> {
    let reason = rejection(last)?;
    let says_more = justification.is_some() && justification != last.justification.as_deref();
    (!says_more).then(|| {
        format!("{} was rejected: {reason}; ask again only with another justification", last.proposal)
    })
}

/// At most what is kept of a justification, cut between two characters.
fn cut(text: &str) -> String {
    const MARK: &str = " [cut]";
    if text.len() <= LONGEST_JUSTIFICATION {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_JUSTIFICATION - MARK.len());
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests;
