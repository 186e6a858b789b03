//! Who runs a request: decided on its claim, which is changed only by compare-and-set.

use base::id::LauncherId;
use bus::message::record::{ClaimState, End, RequestClaim};

/// What to do with a request that was delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict<'a> {
    /// Run it; this is which try, from 1.
    Run { attempt: u64 },
    /// It is over already: only acknowledge.
    Over,
    /// It has ended, and its launcher died before everybody was told.
    TellAgain { end: &'a End },
    /// Another launcher, or this one, is at it.
    InHand,
    /// It was tried too often.
    GiveUp { attempts: u64 },
}

/// What is known when a request is delivered.
pub(super) struct Known<'a> {
    /// Its claim, if it has one.
    pub(super) claim: Option<&'a RequestClaim>,
    /// Who asks.
    pub(super) us: &'a LauncherId,
    /// Whether this very process runs it.
    pub(super) runs_here: bool,
    /// Whether the claim's bottle is recorded as exited: an older release told an end, recorded it and noted nothing.
    pub(super) bottle_exited: bool,
    /// Whether the claim's launcher has said lately that it lives.
    pub(super) owner_lives: bool,
    /// How often a request is tried.
    pub(super) attempts: u64,
}

/// Decides.
pub(super) fn decide<'a>(known: &Known<'a>) -> Verdict<'a> {
    let Some(claim) = known.claim else { return Verdict::Run { attempt: 1 } };
    let ours = &claim.launcher == known.us;
    match claim.state {
        ClaimState::Done => Verdict::Over,
        ClaimState::Claimed if known.runs_here || (!ours && known.owner_lives) => Verdict::InHand,
        ClaimState::Claimed if let Some(end) = &claim.end => Verdict::TellAgain { end },
        ClaimState::Claimed if known.bottle_exited => Verdict::Over,
        ClaimState::Claimed if claim.attempt >= known.attempts => Verdict::GiveUp { attempts: claim.attempt },
        ClaimState::Claimed => Verdict::Run { attempt: claim.attempt + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::message::Version;
    use bus::message::run::{Failed, FailureKind};
    use proptest::prelude::*;

    fn claim(launcher: &str, attempt: u64, state: ClaimState, has_ended: bool) -> RequestClaim {
        let end = || Failed {
            v: Version,
            request: "r1".parse().unwrap(),
            bottle: None,
            kind: FailureKind::Internal,
            step: None,
            reason: String::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        RequestClaim {
            v: Version,
            request: "r1".parse().unwrap(),
            bottle: "a-00000".parse().unwrap(),
            launcher: launcher.parse().unwrap(),
            attempt,
            state,
            end: has_ended.then(|| End::Failed(Box::new(end()))),
        }
    }

    proptest! {
        #[test]
        fn a_request_never_runs_twice_at_a_time_and_never_for_ever(
            ours in any::<bool>(),
            attempt in 1_u64..6,
            done in any::<bool>(),
            runs_here in any::<bool>(),
            has_ended in any::<bool>(),
            bottle_exited in any::<bool>(),
            owner_lives in any::<bool>(),
        ) {
            let us: LauncherId = "us".parse().unwrap();
            let state = if done { ClaimState::Done } else { ClaimState::Claimed };
            let claim = claim(if ours { "us" } else { "them" }, attempt, state, has_ended);
            let verdict = decide(&Known { claim: Some(&claim), us: &us, runs_here, bottle_exited, owner_lives, attempts: 3 });
            match verdict {
                Verdict::Run { attempt: next } => {
                    prop_assert!(!done && !has_ended && !bottle_exited && !runs_here && (ours || !owner_lives));
                    prop_assert!(next == attempt + 1 && next <= 3);
                }
                Verdict::Over => prop_assert!(done || bottle_exited && !has_ended),
                Verdict::TellAgain { .. } => {
                    prop_assert!(!done && has_ended && !runs_here && (ours || !owner_lives));
                }
                Verdict::InHand => prop_assert!(!done && (runs_here || owner_lives)),
                Verdict::GiveUp { attempts } => prop_assert!(!done && attempts >= 3),
            }
        }
    }

    #[test]
    fn a_new_request_runs() {
        let us = "us".parse().unwrap();
        let known = Known {
            claim: None,
            us: &us,
            runs_here: false,
            bottle_exited: false,
            owner_lives: false,
            attempts: 3,
        };
        assert_eq!(decide(&known), Verdict::Run { attempt: 1 });
    }
}
