//! The escape probe (invariant 1). First it looks at what the bottle is made of; only when nothing is wrong there
//! does it try to reach anything, so that a bottle with a way out never sends a packet to a stranger.

mod attempt;
mod privilege;
mod structure;

use std::io::Read as _;
use std::process::ExitCode;

use boundary::probe::{ProbePlan, ProbeReport};

/// Reads the plan from standard input, writes the report to standard output.
pub(crate) fn main() -> ExitCode {
    let mut text = String::new();
    let plan = std::io::stdin().read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    let Some(plan) = plan else { return ExitCode::from(crate::BROKEN) };
    match serde_json::to_writer(std::io::stdout(), &probe(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(crate::BROKEN),
    }
}

fn probe(plan: &ProbePlan) -> ProbeReport {
    let mut findings = structure::check(plan);
    findings.extend(privilege::check(plan.root));
    if !findings.is_empty() {
        return ProbeReport { findings, attempted: 0 };
    }
    ProbeReport { findings: attempt::all(plan), attempted: plan.targets.len() }
}
