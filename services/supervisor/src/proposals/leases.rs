//! Grants that hold once: what they added goes with them, and nothing that was granted beside it.

use base::id::Slug;
use bus::message::Version;
use bus::message::egress::Allowed;
use bus::message::proposal::{Lease, ProposalRecord, ProposalState, Scope};
use bus::message::revision::{Change, Confirm, PolicyChange, PolicyRevision};
use bus::{Bus, BusError};
use jiff::Timestamp;
use policy::{Added, CheckedPolicy, Decision, EgressDelta, EgressPolicy, Host, RequestView, Scheme};

use super::book::Book;
use super::{Proposals, life};
use crate::revision::Next;
use crate::store::Store;

/// How often a lease's end may meet another change of the same policy.
const TRIES: usize = 16;

impl Proposals {
    /// Ends a lease: what it granted goes out of the bottle's policy, unless something else that was approved since holds
    /// on to it.
    pub(super) async fn take_back(&self, book: &mut Book, record: &ProposalRecord) -> Result<(), BusError> {
        let mut leaning = Vec::new();
        if let Some((delta, _, added)) = lease(record) {
            let store = Store::new(&self.bus);
            let others: Vec<_> =
                book.of(&record.bottle).filter(|other| leans(other, record)).cloned().collect();
            for _ in 0..TRIES {
                let Some(current) = store.current(&record.bottle).await? else { break };
                let (policy, held) = without(&current.policy, (delta, added), &others);
                leaning = held;
                if policy == current.policy || self.replace(&store, &record.bottle, &current, policy).await? {
                    break;
                }
            }
        }
        for other in leaning {
            book.write(other).await?;
        }
        match life::without_lease(record) {
            Some(ended) => book.write(ended).await,
            None => Ok(()),
        }
    }

    /// Stores another policy and has it run; false if it has changed meanwhile.
    async fn replace(
        &self,
        store: &Store,
        bottle: &Slug,
        current: &PolicyRevision,
        policy: EgressPolicy,
    ) -> Result<bool, BusError> {
        let (v, bottle, base) = (Version, bottle.clone(), current.revision);
        let change = Change::Replace { policy };
        let asked = PolicyChange { v, bottle, base, change, confirm: Confirm::Stored };
        match store.change(&asked).await? {
            Next::Revision(revision) => self.push_until_heard(&self.bus, revision),
            Next::Conflict { .. } => return Ok(false),
            Next::Invalid { reason } => {
                let bottle = asked.bottle.as_str();
                tracing::error!(bottle, reason, "a grant cannot be taken back");
            }
        }
        Ok(true)
    }

    /// A sidecar that is away gets the revision when it asks, and so does one whose word comes when nobody listens any
    /// more: the next supervisor pushes what was only stored.
    fn push_until_heard(&self, bus: &Bus, revision: PolicyRevision) {
        let (changes, store, heard) = (self.changes.clone(), Store::new(bus), self.changes.heard.subscribe());
        let stop = self.life.stop_token();
        self.life.spawn(async move {
            let confirmed = changes.confirmed(&store, &revision, heard);
            drop(stop.run_until_cancelled(confirmed).await);
        });
    }

    /// The lease of what is approved once and needs no change of the policy: nothing, unless it is allowed only by what
    /// others were granted once. It holds on to that, and has what it needs when that ends.
    pub(super) async fn leaning_lease(
        &self,
        book: &Book,
        record: &ProposalRecord,
        delta: &EgressDelta,
        until: Timestamp,
    ) -> Result<Option<Lease>, BusError> {
        let Some(current) = Store::new(&self.bus).current(&record.bottle).await? else { return Ok(None) };
        let lasting = book
            .of(&record.bottle)
            .filter_map(lease)
            .fold(current.policy.clone(), |policy, (delta, _, added)| policy::revoke(&policy, delta, added));
        let lease = Lease { until, revision: current.revision, added: Added::Nothing };
        Ok((!covers(&lasting, delta)).then_some(lease))
    }
}

/// The delta, the revision that granted it and what it added.
pub(super) fn lease(record: &ProposalRecord) -> Option<(&EgressDelta, u64, Added)> {
    let ProposalState::Resolved { resolved, lease: Some(lease), .. } = &record.state else { return None };
    let verdict = &resolved.decision.as_ref()?.verdict;
    Some((life::granted(record, verdict)?, lease.revision, lease.added))
}

/// What a record grants now, if its approval found all of it allowed already.
fn leaning(record: &ProposalRecord) -> Option<&EgressDelta> {
    let ProposalState::Resolved { resolved, lease, .. } = &record.state else { return None };
    let verdict = &resolved.decision.as_ref()?.verdict;
    let is_over = verdict.scope() == Some(Scope::Once) && lease.is_none();
    life::granted(record, verdict).filter(|_| !is_over && resolved.revision.is_none())
}

/// Whether one record may be allowed only by what another one was granted before it.
fn leans(record: &ProposalRecord, on: &ProposalRecord) -> bool {
    leaning(record).is_some() && record.proposal != on.proposal && record.decided > on.decided
}

/// A policy without what a lease has added to it, but with what others hold on to; those of them whose own lease it is
/// now.
fn without(
    policy: &EgressPolicy,
    (delta, added): (&EgressDelta, Added),
    others: &[ProposalRecord],
) -> (EgressPolicy, Vec<ProposalRecord>) {
    let mut next = policy::revoke(policy, delta, added);
    let mut leased = Vec::new();
    for other in others {
        let Some(held) = leaning(other).filter(|held| covers(policy, held)) else { continue };
        let Ok(granted) = policy::grant(&next, held) else { continue };
        next = granted.policy;
        leased.extend(with_added(other, granted.added).filter(|_| granted.added != Added::Nothing));
    }
    (next, leased)
}

fn with_added(record: &ProposalRecord, added: Added) -> Option<ProposalRecord> {
    let mut record = record.clone();
    let ProposalState::Resolved { lease: Some(lease), .. } = &mut record.state else { return None };
    lease.added = added;
    Some(record)
}

/// Whether granting it would add nothing.
fn covers(policy: &EgressPolicy, delta: &EgressDelta) -> bool {
    policy::grant(policy, delta).is_ok_and(|granted| granted.added == Added::Nothing)
}

/// Whether a request was allowed by the delta that a revision granted, and would not be without it.
pub(super) fn needed(delta: &EgressDelta, granted_by: u64, without: &EgressPolicy, line: &Allowed) -> bool {
    if line.revision < granted_by {
        return false;
    }
    let alone = EgressPolicy { log: None, routes: vec![delta.route()] };
    let allows = |policy: &EgressPolicy| policy::check(policy).is_ok_and(|policy| allows(&policy, line));
    allows(&alone) && !allows(without)
}

fn allows(policy: &CheckedPolicy, line: &Allowed) -> bool {
    let Ok(host) = Host::parse(&line.host) else { return false };
    let request = RequestView {
        scheme: if line.scheme == Scheme::Http.as_str() { Scheme::Http } else { Scheme::Https },
        host: &host,
        port: line.port,
        method: &line.method,
        path: &line.path,
        query: None,
        headers: &http::HeaderMap::new(),
    };
    matches!(policy::decide(policy, &request), Decision::Allow { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_a_request_that_needed_the_grant_has_used_it() {
        let paths = serde_json::json!([{ "type": "prefix", "value": "/x" }]);
        let delta: EgressDelta = json(serde_json::json!({ "host": "a.example", "paths": paths }));
        let route = serde_json::json!({ "host": "a.example", "matches": [{ "methods": ["GET"] }] });
        let without: EgressPolicy = json(serde_json::json!({ "routes": [route] }));
        for (host, method, path, revision, expected) in [
            ("a.example", "POST", "/x/y", 2, true),
            ("a.example", "POST", "/x/y", 3, true),
            // Decided before it was granted.
            ("a.example", "POST", "/x/y", 1, false),
            // Allowed anyway.
            ("a.example", "GET", "/x/y", 2, false),
            // Allowed by something that is not there any more.
            ("a.example", "POST", "/other", 2, false),
            ("b.example", "POST", "/x/y", 2, false),
        ] {
            let line: Allowed = json(serde_json::json!({
                "id": "x1", "at": "2026-01-01T00:00:00Z", "method": method, "scheme": "https", "host": host, "port": 443,
                "path": path, "status": 200, "sent": 0, "received": 0, "duration_ms": 1, "revision": revision,
            }));
            assert_eq!(needed(&delta, 2, &without, &line), expected, "{method} {host}{path} at {revision}");
        }
    }
}
