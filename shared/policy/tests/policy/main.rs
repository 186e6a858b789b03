//! The policy from outside: what is accepted, what is refused, and what is decided.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod checks;
mod decisions;
mod deltas;
mod git;
mod grants;
mod hosts;
mod paths;
mod tokens;

use policy::{CheckedPolicy, EgressPolicy};

/// A policy as a person writes it.
fn raw(yaml: &str) -> EgressPolicy {
    serde_yaml::from_str(yaml).expect("the test's policy is YAML of the right shape")
}

/// A policy in which nothing is wrong.
fn checked(yaml: &str) -> CheckedPolicy {
    policy::check(&raw(yaml)).expect("the test's policy is valid")
}
