//! From an approval to what runs: stored, pushed, confirmed, told (invariant 5). Each step is found again in what is
//! stored, so that any supervisor can go on from there.

use base::error::chain;
use base::id::ProposalId;
use bus::message::proposal::{
    DecideRefusal, DecideReply, Lease, Plan, ProposalRecord, ProposalState, Scope, Verdict,
};
use bus::message::revision::{Change, Confirm, PolicyChange, PolicyChangeReply, PolicyRevision};
use bus::message::{Version, proposal::Decide};
use bus::{Bus, BusError};
use jiff::ToSpan as _;
use manifest::grants::{self, Grant};

use super::Proposals;
use super::decisions::refused;
use super::life::{self, Applied};
use super::verdict::planned;
use crate::revision::Next;
use crate::store::Store;

/// How long what is granted once is open at the most, in minutes.
pub(super) const ONCE: i64 = 10;

/// How far a change has come.
pub(super) enum Step {
    /// It runs, if it was one of policy with this revision.
    Runs(Option<u64>),
    /// This image is there, and what the bottle has made is committed with it.
    Built(String),
    /// It is being built.
    Builds,
    /// It is stored, and its sidecar has said nothing yet.
    Waits(u64),
    /// What ran before runs.
    Failed(String),
}

/// The reply that tells how a proposal ended.
pub(super) fn resolved(record: &ProposalRecord) -> DecideReply {
    match &record.state {
        ProposalState::Resolved { resolved, .. } => DecideReply::Resolved { resolved: resolved.clone() },
        ProposalState::Applying { .. } | ProposalState::Pending { .. } => {
            refused(DecideRefusal::BeingApplied)
        }
    }
}

impl Proposals {
    /// Applies an approval that is stored. If the sidecar says nothing in time, it is waited for in the background.
    pub(super) async fn apply(&self, bus: &Bus, id: &ProposalId) -> Result<DecideReply, BusError> {
        let reply = self.apply_now(bus, id).await;
        if !matches!(reply, Ok(DecideReply::Resolved { .. } | DecideReply::Refused { .. })) {
            self.apply_in_background(id.clone());
        }
        reply
    }

    /// Goes on with an approval until it is over one way or the other.
    pub(super) fn apply_in_background(&self, id: ProposalId) {
        let proposals = self.clone();
        self.life.spawn(async move {
            loop {
                let applied = tokio::select! {
                    applied = proposals.apply_now(&proposals.bus, &id) => applied,
                    () = proposals.life.stopping() => return,
                };
                match applied {
                    Ok(DecideReply::Resolved { .. } | DecideReply::Refused { .. }) => return,
                    Ok(DecideReply::Unconfirmed { .. } | DecideReply::Building) => {}
                    Err(error) => {
                        tracing::warn!(proposal = id.as_str(), error = chain(&error), "is tried again");
                        tokio::time::sleep(proposals.changes.confirm_within).await;
                    }
                }
            }
        });
    }

    async fn apply_now(&self, bus: &Bus, id: &ProposalId) -> Result<DecideReply, BusError> {
        let Some(record) = self.book.lock().await.get(id).await? else {
            return Ok(refused(DecideRefusal::UnknownProposal));
        };
        let ProposalState::Applying { decision, plan } = &record.state else { return Ok(resolved(&record)) };
        let step = match (plan, life::dockerfile(&record, &decision.verdict)) {
            (Some(plan), _) => self.change(bus, &record, &decision.verdict, plan).await?,
            (None, Some(dockerfile)) => self.build(bus, &record, decision, dockerfile).await?,
            (None, None) => Step::Runs(None),
        };
        match step {
            Step::Runs(revision) => self.runs(bus, &record, decision, plan.as_ref(), revision).await,
            Step::Built(image) => self.built(bus, id, image).await,
            Step::Builds => Ok(DecideReply::Building),
            Step::Waits(revision) => Ok(DecideReply::Unconfirmed { revision }),
            Step::Failed(reason) => self.failed(id, &reason).await,
        }
    }

    /// Brings the change into the bottle's policy, and that to the sidecar.
    async fn change(
        &self,
        bus: &Bus,
        record: &ProposalRecord,
        verdict: &Verdict,
        plan: &Plan,
    ) -> Result<Step, BusError> {
        let store = Store::new(bus);
        // Heard from before the push, so that no word is missed.
        let heard = self.changes.heard.subscribe();
        let Some(current) = store.current(&record.bottle).await? else {
            return Ok(Step::Failed("the bottle has no policy any more".to_owned()));
        };
        let next = planned(record, verdict, &current.policy);
        let revision = match next {
            // It is in there: stored by this supervisor, or by the one before.
            Ok(None) => current,
            Ok(Some((policy, _)))
                if current.revision + 1 == plan.revision && policy::content_hash(&policy) == plan.policy =>
            {
                let change = Change::Replace { policy };
                let (v, bottle, base) = (Version, record.bottle.clone(), current.revision);
                let asked = PolicyChange { v, bottle, base, change, confirm: Confirm::Running };
                match store.change(&asked).await? {
                    Next::Revision(revision) => revision,
                    Next::Conflict { current } => return Ok(moved(current)),
                    Next::Invalid { reason } => return Ok(Step::Failed(reason)),
                }
            }
            Ok(Some(_)) => return Ok(moved(current.revision)),
            Err(why) => return Ok(Step::Failed(why.to_string())),
        };
        Ok(self.confirmed(&store, &revision, heard).await)
    }

    async fn confirmed(
        &self,
        store: &Store,
        revision: &PolicyRevision,
        heard: tokio::sync::broadcast::Receiver<crate::running::Heard>,
    ) -> Step {
        let confirmed = tokio::select! {
            confirmed = self.changes.confirmed(store, revision, heard) => confirmed,
            // The next supervisor goes on.
            () = self.life.stopping() => return Step::Waits(revision.revision),
        };
        match confirmed {
            PolicyChangeReply::Running { revision } => Step::Runs(Some(revision)),
            PolicyChangeReply::Refused { reason } => Step::Failed(reason),
            _ => Step::Waits(revision.revision),
        }
    }

    /// It runs: what else was asked for is done, and everybody is told.
    async fn runs(
        &self,
        bus: &Bus,
        record: &ProposalRecord,
        decision: &Decide,
        plan: Option<&Plan>,
        revision: Option<u64>,
    ) -> Result<DecideReply, BusError> {
        let now = self.clock.now();
        let mut scope = decision.verdict.scope().unwrap_or(Scope::Once);
        let mut note = None;
        if scope == Scope::Keep
            && let Err(reason) = self.keep(record, decision).await?
        {
            scope = Scope::Bottle;
            note = Some(format!("it holds until the bottle exits, and was not kept: {reason}"));
        }
        let until = now + ONCE.minutes();
        let mut book = self.book.lock().await;
        let lease = match (scope, plan, revision) {
            (Scope::Once, Some(plan), Some(revision)) => Some(Lease { until, revision, added: plan.added }),
            (Scope::Once, None, _) => match life::granted(record, &decision.verdict) {
                Some(delta) => self.leaning_lease(&book, record, delta, until).await?,
                None => None,
            },
            _ => None,
        };
        let Some(record) = book.get(&record.proposal).await? else {
            return Ok(refused(DecideRefusal::UnknownProposal));
        };
        let Some(over) = life::applied(&record, Applied { revision, scope, image: None, note, lease }, now)
        else {
            return Ok(resolved(&record));
        };
        book.finish(bus, over.clone()).await?;
        Ok(resolved(&over))
    }

    async fn failed(&self, id: &ProposalId, reason: &str) -> Result<DecideReply, BusError> {
        let mut book = self.book.lock().await;
        if let Some(record) = book.get(id).await?
            && let Some(pending) = life::failed(&record, reason)
        {
            book.write(pending).await?;
        }
        Ok(refused(DecideRefusal::ApplyFailed { reason: reason.to_owned() }))
    }

    /// Writes a grant next to the bottle's file. Doing it twice changes nothing.
    async fn keep(&self, record: &ProposalRecord, decision: &Decide) -> Result<Result<(), String>, BusError> {
        let (Some(delta), Some(file)) =
            (life::granted(record, &decision.verdict), self.file_of(record).await?)
        else {
            return Ok(Err("no bottle file is recorded for this bottle".to_owned()));
        };
        let grant = Grant {
            allow: delta.clone(),
            proposal: record.proposal.clone(),
            operator: decision.operator.to_string(),
            at: decision.at.to_string(),
            reason: decision.reason.clone(),
        };
        Ok(grants::keep(&self.home, &file, grant).map_err(|error| chain(&error)))
    }
}

fn moved(current: u64) -> Step {
    Step::Failed(format!("the bottle's policy has changed meanwhile; it is at revision {current}"))
}
