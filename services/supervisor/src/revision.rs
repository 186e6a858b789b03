//! Which revision comes next. Pure.

use bus::message::Version;
use bus::message::revision::{Change, PolicyChange, PolicyRevision, PolicyRunning};
use policy::EgressPolicy;

/// What a change makes of the current revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This revision comes next.
    Revision(PolicyRevision),
    /// The change was based on another revision than the current one.
    Conflict {
        /// The current revision; 0 if there is none.
        current: u64,
    },
    /// The change makes no valid policy.
    Invalid {
        /// Why, for people.
        reason: String,
    },
}

/// Decides what a change makes of the current revision, if there is one.
#[must_use]
pub fn next_revision(current: Option<&PolicyRevision>, asked: &PolicyChange) -> Next {
    let number = current.map_or(0, |current| current.revision);
    if asked.base != number {
        return Next::Conflict { current: number };
    }
    let empty = EgressPolicy::default();
    let before = current.map_or(&empty, |current| &current.policy);
    let policy = match &asked.change {
        Change::Replace { policy } => match policy::check(policy) {
            Ok(_) => policy.clone(),
            Err(problems) => return Next::Invalid { reason: problems.to_string() },
        },
        Change::AddRoute { route } => match policy::add_route(before, (**route).clone()) {
            Ok(policy) => policy,
            Err(error) => return Next::Invalid { reason: error.to_string() },
        },
        Change::RemoveRoute { host } => match policy::remove_route(before, host) {
            Ok(policy) => policy,
            Err(error) => return Next::Invalid { reason: error.to_string() },
        },
    };
    match number.checked_add(1) {
        Some(revision) => {
            Next::Revision(PolicyRevision { v: Version, bottle: asked.bottle.clone(), revision, policy })
        }
        None => Next::Invalid { reason: "this bottle's revisions are used up".to_owned() },
    }
}

/// What follows when a sidecar refuses a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// This revision comes next: a new number for the policy that the sidecar still runs.
    Revision(PolicyRevision),
    /// The refused revision is not the current one any more; nothing to do.
    Superseded,
    /// What the sidecar says it runs is not among the revisions still known before the refused one; the refused one
    /// stays current, and the sidecar keeps what it has.
    Unknown,
}

/// Decides what follows when a sidecar refuses revision `refused` and still runs `running`. `history` is what is known
/// of the bottle's revisions, oldest first, the current one last.
#[must_use]
pub fn restored(history: &[PolicyRevision], refused: u64, running: u64) -> Restored {
    let Some(current) = history.last().filter(|current| current.revision == refused) else {
        return Restored::Superseded;
    };
    let old = history.iter().find(|old| old.revision == running && running < refused);
    match (old, refused.checked_add(1)) {
        (Some(old), Some(revision)) => {
            Restored::Revision(PolicyRevision { revision, policy: old.policy.clone(), ..current.clone() })
        }
        _ => Restored::Unknown,
    }
}

/// What a sidecar's word means for whoever waits for one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It runs the revision.
    Runs,
    /// It refused the revision.
    Refuses {
        /// Why, as the sidecar says it.
        reason: String,
    },
    /// It is past the revision already, which it will never run.
    Passed,
    /// Nothing yet.
    Nothing,
}

/// Reads a sidecar's word for whoever waits for `revision`.
#[must_use]
pub fn word(running: &PolicyRunning, revision: u64) -> Word {
    match &running.refused {
        Some(refused) if refused.revision == revision => Word::Refuses { reason: refused.reason.clone() },
        _ if running.running == revision => Word::Runs,
        _ if running.running > revision => Word::Passed,
        _ => Word::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::message::revision::{Confirm, RefusedRevision};
    use policy::Route;
    use proptest::prelude::*;

    fn route(host: &str) -> Route {
        serde_json::from_value(serde_json::json!({ "host": host })).unwrap()
    }

    fn revision(number: u64, hosts: &[&str]) -> PolicyRevision {
        let routes = hosts.iter().map(|host| route(host)).collect();
        let policy = EgressPolicy { routes, ..EgressPolicy::default() };
        PolicyRevision { v: Version, bottle: "me-00000".parse().unwrap(), revision: number, policy }
    }

    fn asked(base: u64, change: Change) -> PolicyChange {
        PolicyChange {
            v: Version,
            bottle: "me-00000".parse().unwrap(),
            base,
            change,
            confirm: Confirm::Running,
        }
    }

    fn add(host: &str) -> Change {
        Change::AddRoute { route: Box::new(route(host)) }
    }

    #[test]
    fn each_change_has_its_outcome() {
        let current = revision(3, &["a.example"]);
        let remove = |host: &str| Change::RemoveRoute { host: host.to_owned() };
        let replace = |hosts: &[&str]| Change::Replace { policy: revision(0, hosts).policy };
        for (current, base, change, expected) in [
            (None, 0, replace(&["a.example"]), Next::Revision(revision(1, &["a.example"]))),
            (None, 1, replace(&[]), Next::Conflict { current: 0 }),
            (Some(&current), 3, add("b.example"), Next::Revision(revision(4, &["a.example", "b.example"]))),
            (Some(&current), 3, remove("a.example"), Next::Revision(revision(4, &[]))),
            (Some(&current), 2, add("b.example"), Next::Conflict { current: 3 }),
            (Some(&current), 4, add("b.example"), Next::Conflict { current: 3 }),
            (Some(&current), 0, replace(&[]), Next::Conflict { current: 3 }),
        ] {
            assert_eq!(next_revision(current, &asked(base, change.clone())), expected, "{change:?}");
        }
        for change in [add("a.example"), remove("c.example"), add("not a host"), replace(&["egress"])] {
            let next = next_revision(Some(&current), &asked(3, change.clone()));
            assert!(matches!(next, Next::Invalid { .. }), "{change:?}: {next:?}");
        }
        let last = revision(u64::MAX, &[]);
        let next = next_revision(Some(&last), &asked(u64::MAX, add("a.example")));
        assert!(matches!(next, Next::Invalid { .. }), "a number must not be used twice: {next:?}");
    }

    #[test]
    fn a_refusal_brings_back_what_the_sidecar_runs() {
        let history = [revision(2, &["a.example"]), revision(3, &["b.example"]), revision(4, &[])];
        for (refused, running, expected) in [
            (4, 3, Restored::Revision(revision(5, &["b.example"]))),
            (4, 2, Restored::Revision(revision(5, &["a.example"]))),
            (3, 2, Restored::Superseded),
            (5, 4, Restored::Superseded),
            (4, 1, Restored::Unknown),
            (4, 4, Restored::Unknown),
            (4, 9, Restored::Unknown),
        ] {
            assert_eq!(restored(&history, refused, running), expected, "{refused} refused, {running} runs");
        }
        assert_eq!(restored(&[], 1, 0), Restored::Superseded);
    }

    #[test]
    fn a_word_is_about_one_revision() {
        let running = |running, refused: Option<u64>| PolicyRunning {
            v: Version,
            bottle: "me-00000".parse().unwrap(),
            running,
            refused: refused.map(|revision| RefusedRevision { revision, reason: "no".into() }),
        };
        for (said, expected) in [
            (running(5, None), Word::Runs),
            (running(4, None), Word::Nothing),
            (running(6, None), Word::Passed),
            (running(4, Some(5)), Word::Refuses { reason: "no".into() }),
            (running(5, Some(6)), Word::Runs),
            (running(3, Some(4)), Word::Nothing),
        ] {
            assert_eq!(word(&said, 5), expected, "{said:?}");
        }
    }

    fn hosts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::btree_set("[a-d]\\.example", 0..4).prop_map(|hosts| hosts.into_iter().collect())
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            hosts().prop_map(|hosts| {
                let routes = hosts.iter().map(|host| route(host)).collect();
                Change::Replace { policy: EgressPolicy { routes, ..EgressPolicy::default() } }
            }),
            "[a-d]\\.example|egress|\\*".prop_map(|host| Change::AddRoute { route: Box::new(route(&host)) }),
            "[a-d]\\.example".prop_map(|host| Change::RemoveRoute { host }),
        ]
    }

    proptest! {
        #[test]
        fn numbers_rise_by_one_and_every_stored_policy_is_valid(changes in prop::collection::vec((change(), 0_u64..6), 1..40)) {
            let mut current: Option<PolicyRevision> = None;
            for (change, base) in changes {
                let number = current.as_ref().map_or(0, |current| current.revision);
                match next_revision(current.as_ref(), &asked(base, change)) {
                    Next::Revision(next) => {
                        prop_assert_eq!((base, next.revision), (number, number + 1));
                        prop_assert!(policy::check(&next.policy).is_ok());
                        current = Some(next);
                    }
                    Next::Conflict { current } => prop_assert!(current == number && base != number),
                    Next::Invalid { .. } => prop_assert_eq!(base, number),
                }
            }
        }

        #[test]
        fn a_restored_revision_is_new_and_has_the_running_policy(refused in 1_u64..20, running in 0_u64..20, length in 1_u64..20) {
            let history: Vec<_> = (1..=length).map(|n| revision(n, &[["a.example", "b.example"][(n % 2) as usize]])).collect();
            if let Restored::Revision(next) = restored(&history, refused, running) {
                prop_assert_eq!(next.revision, length + 1);
                let old = history.iter().find(|old| old.revision == running);
                prop_assert_eq!(Some(&next.policy), old.map(|old| &old.policy));
            }
        }
    }
}
