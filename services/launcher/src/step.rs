//! The steps of a launch, in order; `docs/launcher.md` numbers them the same.

use std::fmt;

use bus::message::run::FailureKind;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The request and the operator's files become one plan.
    Resolve,
    /// The bottle is recorded with its owner; policy revision 1 is stored.
    Record,
    /// The sidecars get their identity and secrets, and say that they are ready.
    Sidecars,
    /// The boundary is made and its ports are handed to the sidecars.
    Boundary,
    /// The probe inside tries to get out.
    Probe,
    /// Certificates, prompt and settings are put in place.
    Provision,
    /// The agent's program is started.
    Run,
    /// It ended: what is left is put away.
    Settle,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Resolve,
        Self::Record,
        Self::Sidecars,
        Self::Boundary,
        Self::Probe,
        Self::Provision,
        Self::Run,
        Self::Settle,
    ];

    /// Its stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Record => "record",
            Self::Sidecars => "sidecars",
            Self::Boundary => "boundary",
            Self::Probe => "probe",
            Self::Provision => "provision",
            Self::Run => "run",
            Self::Settle => "settle",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a launch failed: at which step, of which kind, and in words that name the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LaunchError {
    /// The step.
    pub step: Step,
    /// The kind.
    pub kind: FailureKind,
    /// What was being done, to what, why it failed, and what to try. Holds no secret.
    pub reason: String,
}

impl LaunchError {
    pub(crate) fn new(step: Step, kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { step, kind, reason: reason.into() }
    }

    /// For an error with causes.
    pub(crate) fn caused(step: Step, kind: FailureKind, doing: &str, error: &dyn std::error::Error) -> Self {
        Self::new(step, kind, format!("{doing}: {}", base::error::chain(error)))
    }
}
