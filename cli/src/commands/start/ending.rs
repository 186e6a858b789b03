//! What is said at the end of a run.

use anyhow::anyhow;
use base::inert;
use bus::message::run::{Exited, Failed, FailureKind, StateKept};

use crate::commands::resume;
use crate::exit::{Exit, Failure};
use crate::{output, words};

/// How a run that was followed ended.
pub(super) enum End {
    /// Its program ran.
    Exited(Box<Exited>),
    /// It never did.
    Failed(Box<Failed>),
}

/// What a person is told of the end of a program.
pub(super) fn farewell(exited: &Exited) -> String {
    let state = match exited.state {
        StateKept::Removed => "its state was removed",
        StateKept::Kept => {
            "its state was kept; `bot-bottle cleanup --all` removes it when the services are down"
        }
    };
    let next = resume::advice(&exited.bottle, exited.transcript.is_some());
    let note = exited.note.as_deref().map(|note| format!("; {}", inert(note, 500))).unwrap_or_default();
    let how = words::exit(exited.reason);
    let over = format!("{} {how}, exit code {}; {state}{note}{next}", exited.bottle, exited.code);
    let Some(failed) = &exited.failure else { return over };
    let said = output::inert_lines(failed.words.trim());
    let colon = if said.is_empty() { "" } else { ":\n" };
    format!("{over}\n{}{colon}{said}", words::failed_run(failed.kind))
}

/// What a person is told of a launch that failed.
pub(super) fn launch_failure(failed: &Failed) -> Failure {
    let exit = match failed.kind {
        FailureKind::Manifest | FailureKind::Malformed | FailureKind::Session => Exit::Input,
        FailureKind::Prerequisite => Exit::Prerequisite,
        FailureKind::Internal => Exit::Internal,
        _ => Exit::Launch,
    };
    let step = failed.step.as_ref().map(|step| format!(" at step `{}`", inert(step, 40))).unwrap_or_default();
    Failure::new(exit, anyhow!("the launch failed{step}: {}", output::inert_lines(&failed.reason)))
}
