//! One line a scenario.

use crate::exit::Exit;
use crate::output::{self, Paint, paint};

/// Counts what was printed.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Prints a scenario with its evidence, which may come from the agent.
    pub(super) fn line(&mut self, scenario: &str, ok: bool, evidence: &str) {
        let verdict = if ok { paint(Paint::Green, "ok  ") } else { paint(Paint::Red, "FAIL") };
        *(if ok { &mut self.passed } else { &mut self.failed }) += 1;
        let scenario = base::inert(scenario, 40);
        output::line(&format!("{verdict} {scenario:<32} {}", base::inert(evidence, 300)));
    }

    /// Prints the last line.
    #[must_use]
    pub(super) fn finish(self) -> Exit {
        output::line(&format!("{} passed, {} failed", self.passed, self.failed));
        if self.failed == 0 && self.passed > 0 { Exit::Ok } else { Exit::No }
    }
}
