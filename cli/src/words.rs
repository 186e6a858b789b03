//! What people read for what the bus says in names.

use bus::message::run::{ExitReason, FailureKind, RunFailure};

/// How a run ended: `ended by itself`.
#[must_use]
pub fn exit(reason: ExitReason) -> &'static str {
    match reason {
        ExitReason::Completed => "ended by itself",
        ExitReason::Stopped => "was stopped",
        ExitReason::TimeLimit => "reached its time limit",
        ExitReason::DiskLimit => "filled its disk",
        ExitReason::SidecarLost => "was ended: it lost its proxy",
        ExitReason::BoundaryLost => "was lost: its boundary died",
    }
}

/// What kind of failure, as `docs/errors.md` lists it.
#[must_use]
pub fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Malformed => "malformed",
        FailureKind::Manifest => "manifest",
        FailureKind::Prerequisite => "prerequisite",
        FailureKind::Secret => "secret",
        FailureKind::Sidecar => "sidecar",
        FailureKind::Boundary => "boundary",
        FailureKind::Probe => "probe",
        FailureKind::Provision => "provision",
        FailureKind::Session => "session",
        FailureKind::Run => "run",
        FailureKind::Attempts => "attempts",
        FailureKind::Internal => "internal",
    }
}

/// How a run failed, and what to do.
#[must_use]
pub fn failed_run(kind: RunFailure) -> &'static str {
    match kind {
        RunFailure::Login => {
            "the agent's program is not logged in: see that its token option names a token that is good (docs/providers.md)"
        }
        RunFailure::Reported => "the agent's program says that it failed",
        RunFailure::Died => "the agent's program ended without an answer",
        RunFailure::Silent => "the agent's program ended as if all were well, and has said nothing",
        RunFailure::Unreadable => "the answer of the agent's program is cut off or in no form that is known",
        RunFailure::Unfinished => "the agent's program had not answered yet",
    }
}
