//! What was asked for under which id, so that an answer can say what is allowed now.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::id::ProposalId;
use policy::EgressDelta;

/// Proposals that are remembered.
const MOST: usize = 256;
const MINUTE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    wishes: Mutex<VecDeque<(ProposalId, Option<EgressDelta>)>>,
    /// When the proposals of the last minute were made.
    made: Mutex<VecDeque<Instant>>,
}

impl Memory {
    /// Notes that it was proposed here, and which requests it is about, if it is about requests.
    pub(super) fn remember(&self, proposal: ProposalId, delta: Option<EgressDelta>) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        if wishes.len() == MOST {
            wishes.pop_front();
        }
        wishes.push_back((proposal, delta));
    }

    pub(super) fn wish(&self, proposal: &ProposalId) -> Option<EgressDelta> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.iter().find(|(other, _)| other == proposal).and_then(|(_, delta)| delta.clone())
    }

    /// Whether it was proposed here: then it is stored, and the supervisor will know it.
    pub(super) fn is_own(&self, proposal: &ProposalId) -> bool {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.iter().any(|(other, _)| other == proposal)
    }

    /// Counts one more proposal, unless `most` were made within the last minute.
    pub(super) fn may_propose(&self, most: usize, now: Instant) -> bool {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while made.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            made.pop_front();
        }
        let may = made.len() < most;
        if may {
            made.push_back(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_proposals_a_minute_and_then_again() {
        let (memory, start) = (Memory::default(), Instant::now());
        let may: Vec<_> = (0..4).map(|_| memory.may_propose(3, start)).collect();
        assert_eq!(may, [true, true, true, false]);
        assert!(!memory.may_propose(3, start + MINUTE / 2));
        assert!(memory.may_propose(3, start + MINUTE));
    }

    #[test]
    fn the_oldest_wish_is_forgotten_first() {
        let memory = Memory::default();
        let delta: EgressDelta = serde_json::from_value(serde_json::json!({ "host": "a.example" })).unwrap();
        let ids: Vec<_> = (0..=MOST).map(|_| ProposalId::random()).collect();
        ids.iter().for_each(|id| memory.remember(id.clone(), Some(delta.clone())));
        assert!(memory.wish(&ids[0]).is_none() && !memory.is_own(&ids[0]));
        assert_eq!(memory.wish(&ids[1]), Some(delta));
    }
}
