//! A proposal's life as pure steps: each gives the next record, or nothing where the step does not apply.

use bus::message::Version;
use bus::message::proposal::{Content, Verdict};
use bus::message::proposal::{
    Decide, Edited, Lease, Outcome, Plan, ProposalRecord, ProposalState, Resolved, Scope,
};
use jiff::Timestamp;
use policy::EgressDelta;

/// A person has approved it, and this change is on its way. Only what waits can be approved.
pub(crate) fn applying(
    record: &ProposalRecord,
    decision: &Decide,
    plan: Option<Plan>,
) -> Option<ProposalRecord> {
    let ProposalState::Pending { .. } = record.state else { return None };
    let state = ProposalState::Applying { decision: Box::new(decision.clone()), plan };
    Some(ProposalRecord { decided: Some(decision.at), state, ..record.clone() })
}

/// How an approval came out.
pub(crate) struct Applied {
    /// The revision that runs.
    pub(crate) revision: Option<u64>,
    /// For how long it holds in the end.
    pub(crate) scope: Scope,
    /// The image that was built.
    pub(crate) image: Option<String>,
    /// A word to the operator's own reason, where not all of it could be done.
    pub(crate) note: Option<String>,
    pub(crate) lease: Option<Lease>,
}

/// The change runs.
pub(crate) fn applied(record: &ProposalRecord, applied: Applied, now: Timestamp) -> Option<ProposalRecord> {
    let ProposalState::Applying { decision, .. } = &record.state else { return None };
    let resolved = Resolved {
        scope: Some(applied.scope),
        revision: applied.revision,
        image: applied.image,
        reason: applied.note.or_else(|| decision.reason.clone()),
        decision: Some(decision.clone()),
        ..resolved(record, decision.verdict.outcome(), now)
    };
    Some(over(record, resolved, applied.lease))
}

/// The change was refused, and what ran before runs.
pub(crate) fn failed(record: &ProposalRecord, reason: &str) -> Option<ProposalRecord> {
    let ProposalState::Applying { .. } = record.state else { return None };
    let state = ProposalState::Pending { failed: Some(lines(reason)) };
    Some(ProposalRecord { state, ..record.clone() })
}

/// A reason line by line, made harmless; of many the last, which are a build's own.
fn lines(reason: &str) -> String {
    const LINES: usize = 16;
    const LINE: usize = 1000;
    let all: Vec<&str> = reason.lines().collect();
    let (first, rest) = all.split_at(all.len().min(1));
    let last = rest.iter().skip(rest.len().saturating_sub(LINES));
    first.iter().chain(last).map(|line| base::inert(line, LINE)).collect::<Vec<_>>().join("\n")
}

/// A person has rejected it.
pub(crate) fn rejected(record: &ProposalRecord, decision: &Decide, now: Timestamp) -> Option<ProposalRecord> {
    let ProposalState::Pending { .. } = record.state else { return None };
    let resolved = Resolved {
        reason: decision.reason.clone(),
        decision: Some(Box::new(decision.clone())),
        ..resolved(record, Outcome::Rejected, now)
    };
    Some(ProposalRecord { decided: Some(decision.at), ..over(record, resolved, None) })
}

/// Nobody has answered in time, or the agent took it back. What is being applied goes on.
pub(crate) fn lapsed(
    record: &ProposalRecord,
    outcome: Outcome,
    reason: Option<&str>,
    now: Timestamp,
) -> Option<ProposalRecord> {
    let ProposalState::Pending { .. } = record.state else { return None };
    let reason = reason.map(str::to_owned);
    Some(over(record, Resolved { reason, ..resolved(record, outcome, now) }, None))
}

/// Its bottle is over: so is it, wherever it was, and so is a grant that holds once.
pub(crate) fn orphaned(record: &ProposalRecord, now: Timestamp) -> Option<ProposalRecord> {
    match &record.state {
        ProposalState::Resolved { lease: None, .. } => None,
        ProposalState::Resolved { lease: Some(_), .. } => without_lease(record),
        ProposalState::Pending { .. } | ProposalState::Applying { .. } => {
            let reason = Some("the bottle is over".to_owned());
            let resolved = Resolved { reason, ..resolved(record, Outcome::Expired, now) };
            Some(over(record, resolved, None))
        }
    }
}

/// Its end was published.
pub(crate) fn told(record: &ProposalRecord) -> Option<ProposalRecord> {
    let ProposalState::Resolved { resolved, told: false, lease } = &record.state else { return None };
    let state = ProposalState::Resolved { resolved: resolved.clone(), told: true, lease: lease.clone() };
    Some(ProposalRecord { state, ..record.clone() })
}

/// What was granted once is taken back.
pub(crate) fn without_lease(record: &ProposalRecord) -> Option<ProposalRecord> {
    let ProposalState::Resolved { resolved, told, lease: Some(_) } = &record.state else { return None };
    let state = ProposalState::Resolved { resolved: resolved.clone(), told: *told, lease: None };
    Some(ProposalRecord { state, ..record.clone() })
}

/// The delta that an approval grants, if it grants one.
pub(crate) fn granted<'a>(record: &'a ProposalRecord, verdict: &'a Verdict) -> Option<&'a EgressDelta> {
    match (verdict, &record.content) {
        (Verdict::Approve { .. }, Content::Egress(delta)) => Some(delta),
        (Verdict::Modify { edited: Edited::Delta { delta }, .. }, Content::Egress(_)) => Some(delta),
        _ => None,
    }
}

/// The Dockerfile that an approval has built, if it has one built.
pub(crate) fn dockerfile<'a>(record: &'a ProposalRecord, verdict: &'a Verdict) -> Option<&'a str> {
    match (verdict, &record.content) {
        (Verdict::Approve { .. }, Content::Capability(asked)) => Some(&asked.dockerfile),
        (Verdict::Modify { edited: Edited::Dockerfile { dockerfile }, .. }, Content::Capability(_)) => {
            Some(dockerfile)
        }
        _ => None,
    }
}

fn over(record: &ProposalRecord, resolved: Resolved, lease: Option<Lease>) -> ProposalRecord {
    let state = ProposalState::Resolved { resolved: Box::new(resolved), told: false, lease };
    ProposalRecord { state, ..record.clone() }
}

fn resolved(record: &ProposalRecord, outcome: Outcome, at: Timestamp) -> Resolved {
    Resolved {
        v: Version,
        bottle: record.bottle.clone(),
        proposal: record.proposal.clone(),
        outcome,
        scope: None,
        revision: None,
        image: None,
        reason: None,
        at,
        decision: None,
    }
}
