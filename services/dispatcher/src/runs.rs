//! Whose the runs in hand are: what launchers and sidecars tell names a request or a bottle, and no pull request.

use std::collections::HashMap;

use base::id::{RequestId, Slug};
use bus::message::pr::PrSession;

/// A run, as others name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    request: RequestId,
    bottle: Option<Slug>,
}

impl Run {
    /// The run that a conversation has in hand.
    pub(crate) fn of(session: &PrSession) -> Option<Self> {
        let run = session.run.as_ref()?;
        Some(Self { request: run.start.id.clone(), bottle: run.bottle.clone() })
    }
}

/// The conversations by their runs: as many entries as there are runs in hand.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    requests: HashMap<RequestId, String>,
    bottles: HashMap<Slug, String>,
}

impl Runs {
    /// Notes whose run it is, before anybody can tell something about it.
    pub(crate) fn expect(&mut self, key: &str, run: &Run) {
        self.requests.insert(run.request.clone(), key.to_owned());
        if let Some(bottle) = &run.bottle {
            self.bottles.insert(bottle.clone(), key.to_owned());
        }
    }

    /// Forgets runs, unless one of them is `current`. They are those that a change of a conversation has itself seen or
    /// tried: after its write another change may have begun the next run, and nothing told of that one may be lost.
    pub(crate) fn settle(&mut self, seen: &[Run], current: Option<&Run>) {
        for run in seen.iter().filter(|run| current.is_none_or(|current| current.request != run.request)) {
            self.requests.remove(&run.request);
            run.bottle.as_ref().inspect(|bottle| _ = self.bottles.remove(*bottle));
        }
    }

    /// The conversation that a request is of.
    pub(crate) fn of_request(&self, request: &RequestId) -> Option<String> {
        self.requests.get(request).cloned()
    }

    /// The conversation that a bottle runs for.
    pub(crate) fn of_bottle(&self, bottle: &Slug) -> Option<String> {
        self.bottles.get(bottle).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> Run {
        let (request, bottle) = (format!("pr-{number}"), format!("reviewer-aaaa{number}"));
        Run { request: request.parse().unwrap(), bottle: Some(bottle.parse().unwrap()) }
    }

    #[test]
    fn a_run_that_is_over_is_forgotten() {
        let mut runs = Runs::default();
        runs.expect("a", &run(1));
        runs.settle(&[run(1)], Some(&run(1)));
        assert_eq!(runs.of_request(&run(1).request).as_deref(), Some("a"));
        assert_eq!(runs.of_bottle(run(1).bottle.as_ref().unwrap()).as_deref(), Some("a"));
        runs.settle(&[run(1)], None);
        assert!(runs.requests.is_empty() && runs.bottles.is_empty());
    }

    /// The answer of one run is noted, which says that there is none in hand; before that is put away here, a delivery
    /// has begun the next.
    #[test]
    fn a_run_that_was_begun_meanwhile_is_not_forgotten() {
        let mut runs = Runs::default();
        runs.expect("a", &run(2));
        runs.settle(&[run(1)], None);
        runs.settle(&[], None);
        assert_eq!(runs.of_request(&run(2).request).as_deref(), Some("a"));
    }
}
