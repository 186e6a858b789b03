//! `bot-bottle-gitgate`: one bottle's git gate, started by the launcher with the hand-over channel as standard input; and
//! what `git` starts by other names (see `gitgate::helper`).

use std::process::ExitCode;

use base::lifecycle::Ending;
use base::logging::{self, Format};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Libraries whose warnings an agent can cause as often as it likes.
const TALKATIVE: [&str; 1] = ["hyper"];

fn main() -> ExitCode {
    if let Some(exit) = gitgate::helper::run(std::env::args_os()) {
        return exit;
    }
    logging::init_without(Format::Json, &TALKATIVE);
    silence_panics();
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::error!(%error, "the git gate holds keys and cannot close itself to inspection");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(gitgate::sidecar::run()));
    match ended {
        Ok(Ending::Clean | Ending::Forced) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the git gate cannot run");
            ExitCode::FAILURE
        }
    }
}

/// A panic's own text may hold what an agent sent; its place is enough to find the defect.
fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect: this part of the git gate panicked");
    }));
}
