//! What becomes of an operator's answer (S9, invariant 5). Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use base::id::BottleName;
use bus::message::proposal::{
    Content, Decide, DecideRefusal, Edited, OperatorId, Plan, ProposalKind, ProposalRecord, ProposalState,
    Scope, Verdict,
};
use bus::message::revision::PolicyRevision;
use jiff::Timestamp;
use policy::{Added, EgressPolicy};

use super::life::{applying, rejected};

/// How far the operator's clock may be from the supervisor's, and how long a decision may be on its way.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Bytes of a Dockerfile, as builds take them.
const LONGEST_DOCKERFILE: usize = 64 * 1024;

/// What an answer is judged by.
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    /// Whose answers count.
    pub(crate) operators: &'a BTreeSet<OperatorId>,
    /// The bottle's policy.
    pub(crate) current: Option<&'a PolicyRevision>,
    /// The policy that the operator says to have seen, if it is still known.
    pub(crate) shown: Option<&'a EgressPolicy>,
    /// The bottle's own file, next to which a grant can be kept.
    pub(crate) file: Option<&'a BottleName>,
}

/// What an answer makes of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is over.
    Over(ProposalRecord),
    /// Its change is to be applied.
    Apply(ProposalRecord),
}

/// Judges an answer.
pub(crate) fn decide(
    record: &ProposalRecord,
    asked: &Decide,
    facts: &Facts<'_>,
) -> Result<Next, DecideRefusal> {
    authentic(record, asked, facts)?;
    match &record.state {
        ProposalState::Resolved { resolved, .. } => {
            return Err(DecideRefusal::AlreadyResolved { outcome: resolved.outcome });
        }
        ProposalState::Applying { .. } => return Err(DecideRefusal::BeingApplied),
        ProposalState::Pending { .. } => {}
    }
    if asked.hash != record.hash {
        return Err(DecideRefusal::WrongHash { hash: record.hash.clone() });
    }
    let being_applied = || DecideRefusal::BeingApplied;
    let scope = match &asked.verdict {
        Verdict::Reject => {
            return rejected(record, asked, facts.now).map(Next::Over).ok_or_else(being_applied);
        }
        Verdict::Approve { scope } | Verdict::Modify { scope, .. } => *scope,
    };
    let kind = record.content.kind();
    if kind.is_about_a_secret() && asked.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(DecideRefusal::ReasonRequired);
    }
    let current = fresh(asked, facts)?;
    offered(record, &asked.verdict, scope, facts)?;
    let plan = plan(record, &asked.verdict, current)?;
    applying(record, asked, plan).map(Next::Apply).ok_or_else(being_applied)
}

/// Whether a known operator has signed this, now, and for the first time.
fn authentic(record: &ProposalRecord, asked: &Decide, facts: &Facts<'_>) -> Result<(), DecideRefusal> {
    if !facts.operators.contains(&asked.operator) {
        return Err(DecideRefusal::UnknownOperator);
    }
    asked.verify().map_err(|_| DecideRefusal::BadSignature)?;
    if facts.now.duration_since(asked.at).unsigned_abs() > WINDOW {
        return Err(DecideRefusal::Untimely { at: asked.at, now: facts.now });
    }
    // What was refused before may be decided again, but not by the same answer.
    if record.is_open() && record.decided.is_some_and(|last| asked.at <= last) {
        return Err(DecideRefusal::Replayed);
    }
    Ok(())
}

/// The bottle's policy, if it is the one that the operator was shown.
fn fresh<'a>(asked: &Decide, facts: &Facts<'a>) -> Result<&'a PolicyRevision, DecideRefusal> {
    let nothing = || DecideRefusal::NotApplicable { reason: "the bottle has no policy any more".to_owned() };
    let current = facts.current.ok_or_else(nothing)?;
    if asked.base == current.revision {
        return Ok(current);
    }
    let differs = match facts.shown {
        Some(shown) => policy::difference(shown, &current.policy),
        None => vec![format!("revision {} is not kept any more", asked.base)],
    };
    Err(DecideRefusal::StaleBase { current: current.revision, differs })
}

/// Whether there is such an answer to such a proposal.
fn offered(
    record: &ProposalRecord,
    verdict: &Verdict,
    scope: Scope,
    facts: &Facts<'_>,
) -> Result<(), DecideRefusal> {
    let kind = record.content.kind();
    let scope_refused = |reason: &str| Err(DecideRefusal::InvalidScope { reason: reason.to_owned() });
    match (kind, verdict, scope) {
        (ProposalKind::Capability, _, Scope::Keep) => scope_refused(
            "a resume goes on in the image that is built; for other bottles write it into the bottle's own Dockerfile",
        ),
        (ProposalKind::Capability, Verdict::Modify { edited: Edited::Dockerfile { dockerfile }, .. }, _) => {
            let is_fit = !dockerfile.trim().is_empty() && dockerfile.len() <= LONGEST_DOCKERFILE;
            let reason = || format!("a Dockerfile has 1 to {LONGEST_DOCKERFILE} bytes");
            if is_fit { Ok(()) } else { Err(DecideRefusal::InvalidEdit { reason: reason() }) }
        }
        (ProposalKind::Capability, Verdict::Modify { .. }, _) => {
            let reason = "a capability is edited as a Dockerfile".to_owned();
            Err(DecideRefusal::InvalidEdit { reason })
        }
        (ProposalKind::Capability, ..) => Ok(()),
        (ProposalKind::Egress, Verdict::Modify { edited: Edited::Dockerfile { .. }, .. }, _) => {
            let reason = "an egress proposal is edited as a delta or a route".to_owned();
            Err(DecideRefusal::InvalidEdit { reason })
        }
        (
            ProposalKind::Egress,
            Verdict::Modify { edited: Edited::Route { .. }, .. },
            Scope::Once | Scope::Keep,
        ) => scope_refused(
            "a whole route holds until the bottle exits; to keep it, write it into the bottle's file",
        ),
        (ProposalKind::Egress, _, Scope::Keep) if facts.file.is_none() => {
            scope_refused("no bottle file is recorded for this bottle; grant it until the bottle exits")
        }
        (ProposalKind::Egress, ..) => Ok(()),
        (_, Verdict::Modify { .. }, _) => {
            let reason = format!("a {} can be approved or rejected as it is", kind.as_str());
            Err(DecideRefusal::InvalidEdit { reason })
        }
        (_, _, Scope::Keep) => {
            scope_refused("only routes can be kept; approve it once, or until the bottle exits")
        }
        (_, _, Scope::Once | Scope::Bottle) => Ok(()),
    }
}

/// The change of policy that an approval makes, if it makes one.
fn plan(
    record: &ProposalRecord,
    verdict: &Verdict,
    current: &PolicyRevision,
) -> Result<Option<Plan>, DecideRefusal> {
    let Some((policy, added)) = planned(record, verdict, &current.policy)? else { return Ok(None) };
    let revision = current.revision.checked_add(1).ok_or_else(|| DecideRefusal::NotApplicable {
        reason: "this bottle's revisions are used up".to_owned(),
    })?;
    Ok(Some(Plan { revision, policy: policy::content_hash(&policy), added }))
}

/// The policy that an approval makes of another, and what that adds; none if it changes nothing.
pub(crate) fn planned(
    record: &ProposalRecord,
    verdict: &Verdict,
    policy: &EgressPolicy,
) -> Result<Option<(EgressPolicy, Added)>, DecideRefusal> {
    let invalid = |problems: policy::Problems| DecideRefusal::InvalidEdit { reason: problems.to_string() };
    let (next, added) = match (&record.content, verdict) {
        (Content::Egress(_), Verdict::Modify { edited: Edited::Route { route }, .. }) => {
            (policy::put_route(policy, (**route).clone()).map_err(invalid)?, Added::Route)
        }
        _ => match super::life::granted(record, verdict) {
            Some(delta) => {
                let granted = policy::grant(policy, delta).map_err(invalid)?;
                (granted.policy, granted.added)
            }
            None => return Ok(None),
        },
    };
    Ok((next != *policy).then_some((next, added)))
}

#[cfg(test)]
mod tests;
