//! What ends by itself: proposals that nobody answers, and grants that hold once.

use std::time::Duration;

use base::error::chain;
use base::id::Slug;
use bus::layout::EVENTS;
use bus::message::Version;
use bus::message::egress::{Allowed, Log};
use bus::message::proposal::{Outcome, ProposalRecord, ProposalState};
use bus::message::revision::{Change, Confirm, PolicyChange};
use bus::{Bus, BusError, Since};
use jiff::ToSpan as _;
use policy::{CheckedPolicy, Decision, EgressDelta, EgressPolicy, Host, RequestView, Scheme};

use super::{Proposals, life};
use crate::revision::Next;
use crate::store::Store;

/// How exactly ends are kept.
const TICK: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(1);
/// How often a lease's end may meet another change of the same policy.
const TRIES: usize = 16;

/// Ends what is due, and tells what was not told, until a stop is asked for.
pub(crate) async fn clock(proposals: Proposals) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = proposals.life.stopping() => return,
        }
        if let Err(error) = proposals.due().await {
            tracing::warn!(error = chain(&error), "what is due is ended later");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Ends leases that were used, until the connection is closed.
pub(crate) async fn leases(proposals: Proposals) {
    loop {
        let ended = tokio::select! {
            ended = proposals.hear_of_use() => ended,
            () = proposals.life.stopping() => return,
        };
        match ended {
            Ok(never) => match never {},
            Err(error @ (BusError::Closed { .. } | BusError::Denied(_))) => {
                tracing::error!(error = chain(&error), "the use of grants is not heard any more");
                return;
            }
            Err(error) => tracing::warn!(error = chain(&error), "the use of grants is read again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Proposals {
    async fn due(&self) -> Result<(), BusError> {
        let now = self.clock.now();
        let mut book = self.book.lock().await;
        let unfinished: Vec<ProposalRecord> = book.unfinished().cloned().collect();
        for record in unfinished {
            match &record.state {
                ProposalState::Pending { .. } if record.until <= now => {
                    if let Some(over) = life::lapsed(&record, Outcome::Expired, None, now) {
                        book.finish(&self.bus, over).await?;
                    }
                }
                ProposalState::Resolved { told: false, .. } => book.tell(&self.bus, &record.proposal).await?,
                ProposalState::Resolved { lease: Some(lease), .. } if lease.until <= now => {
                    if let Some(ended) = self.taken_back(&record).await? {
                        book.write(ended).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn hear_of_use(&self) -> Result<std::convert::Infallible, BusError> {
        // Older than that, every lease is over.
        let since = Since::Time(self.clock.now() - super::apply::ONCE.minutes());
        let mut logs = self.bus.follow::<Log>(EVENTS, "egress.log.*", since).await?;
        loop {
            if let Ok(log) = logs.next().await?.message {
                self.used(&log.bottle, &log.lines).await?;
            }
        }
    }

    /// Ends the leases that one of these requests needed.
    async fn used(&self, bottle: &Slug, lines: &[Allowed]) -> Result<(), BusError> {
        let mut book = self.book.lock().await;
        let leased: Vec<_> = book.of(bottle).filter(|record| lease(record).is_some()).cloned().collect();
        if leased.is_empty() {
            return Ok(());
        }
        let Some(current) = Store::new(&self.bus).current(bottle).await? else { return Ok(()) };
        for record in leased {
            let Some((delta, granted_by, added)) = lease(&record) else { continue };
            let without = policy::revoke(&current.policy, delta, added);
            let is_used = lines.iter().any(|line| needed(delta, granted_by, &without, line));
            if is_used && let Some(ended) = self.taken_back(&record).await? {
                book.write(ended).await?;
            }
        }
        Ok(())
    }

    /// Takes what a lease granted out of the bottle's policy.
    async fn taken_back(&self, record: &ProposalRecord) -> Result<Option<ProposalRecord>, BusError> {
        if let Some((delta, _, added)) = lease(record) {
            let store = Store::new(&self.bus);
            for _ in 0..TRIES {
                let Some(current) = store.current(&record.bottle).await? else { break };
                let policy = policy::revoke(&current.policy, delta, added);
                if policy == current.policy {
                    break;
                }
                let (v, bottle, base) = (Version, record.bottle.clone(), current.revision);
                let change = Change::Replace { policy };
                let asked = PolicyChange { v, bottle, base, change, confirm: Confirm::Stored };
                match store.change(&asked).await? {
                    Next::Revision(revision) => {
                        self.push_until_heard(&self.bus, revision);
                        break;
                    }
                    Next::Conflict { .. } => {}
                    Next::Invalid { reason } => {
                        tracing::error!(
                            bottle = record.bottle.as_str(),
                            reason,
                            "a grant cannot be taken back"
                        );
                        break;
                    }
                }
            }
        }
        Ok(life::without_lease(record))
    }

    /// A sidecar that is away gets the revision when it asks.
    fn push_until_heard(&self, bus: &Bus, revision: bus::message::revision::PolicyRevision) {
        let (changes, store, heard) = (self.changes.clone(), Store::new(bus), self.changes.heard.subscribe());
        self.life.spawn(async move { changes.confirmed(&store, &revision, heard).await });
    }
}

/// The delta, the revision that granted it and what it added.
fn lease(record: &ProposalRecord) -> Option<(&EgressDelta, u64, policy::Added)> {
    let ProposalState::Resolved { resolved, lease: Some(lease), .. } = &record.state else { return None };
    let verdict = &resolved.decision.as_ref()?.verdict;
    Some((life::granted(record, verdict)?, lease.revision, lease.added))
}

/// Whether a request was allowed by the delta that a revision granted, and would not be without it.
fn needed(delta: &EgressDelta, granted_by: u64, without: &EgressPolicy, line: &Allowed) -> bool {
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
