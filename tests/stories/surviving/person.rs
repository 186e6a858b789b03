//! A person who answers, and does not give up when nobody hears it.

use std::path::Path;
use std::time::Duration;

use base::clock::Clock;
use base::id::ProposalId;
use bus::layout::{POLICY, PROPOSED};
use bus::message::proposal::{
    Decide, DecideRefusal, DecideReply, Decision, OperatorKey, Outcome, ProposalRecord, ProposalState, Scope,
    Verdict,
};
use bus::{Bus, BusError};

pub(super) struct Person {
    bus: Bus,
    key: OperatorKey,
    /// What they were told is decided.
    pub(super) told: Vec<ProposalId>,
}

const PAUSE: Duration = Duration::from_millis(100);

impl Person {
    pub(super) fn of(home: &Path, bus: &Bus) -> Self {
        let key = OperatorKey::generate();
        supervisor::operators::admit(home, &key.id(), "tester").unwrap();
        Self { bus: bus.clone(), key, told: Vec::new() }
    }

    /// Grants less than was asked for, until the proposal is over; how it ended.
    pub(super) async fn grant_less(&mut self, card: &ProposalRecord) -> Outcome {
        loop {
            match self.decide(card).await {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(error @ (BusError::Denied(_) | BusError::Malformed { .. })) => panic!("{error}"),
                Err(error) => eprintln!("the person tries again: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn decide(&mut self, card: &ProposalRecord) -> Result<Option<Outcome>, BusError> {
        let stored = self.bus.bucket(&PROPOSED).get(card.proposal.as_str()).await?;
        let stored = stored.unwrap_or_else(|| panic!("{} is lost", card.proposal)).value;
        if let ProposalState::Resolved { resolved, .. } = stored.state {
            return Ok(Some(resolved.outcome));
        }
        // A bottle that is over has none.
        let Some(policy) = self.bus.bucket(&POLICY).get(card.bottle.as_str()).await? else { return Ok(None) };
        let delta = serde_json::json!({
            "host": "new.example.com", "scheme": "http", "methods": ["GET"],
            "paths": [{ "type": "prefix", "value": "/docs" }],
        });
        let edited = serde_json::from_value(serde_json::json!({ "as": "delta", "delta": delta })).unwrap();
        let decision = Decision {
            proposal: card.proposal.clone(),
            hash: card.hash.clone(),
            base: policy.value.revision,
            verdict: Verdict::Modify { scope: Scope::Bottle, edited },
            reason: Some("the documentation is enough".to_owned()),
            at: Clock::System.now(),
        };
        let decide = Decide::signed(decision, &self.key);
        match self.bus.request(&decide, Duration::from_secs(30)).await? {
            DecideReply::Resolved { resolved } => {
                self.told.push(card.proposal.clone());
                Ok(Some(resolved.outcome))
            }
            DecideReply::Refused { why: DecideRefusal::AlreadyResolved { outcome } } => Ok(Some(outcome)),
            DecideReply::Unconfirmed { .. } | DecideReply::Building => Ok(None),
            DecideReply::Refused {
                why:
                    DecideRefusal::BeingApplied
                    | DecideRefusal::StaleBase { .. }
                    | DecideRefusal::ApplyFailed { .. }
                    | DecideRefusal::NotApplicable { .. },
            } => Ok(None),
            refused @ DecideReply::Refused { .. } => panic!("{refused:?}"),
        }
    }
}
