//! `bot-bottle-deploy-keys`: makes or takes back a deploy key at a forge, started by the launcher for one order with the
//! channel as standard input.

use std::process::ExitCode;

use base::logging::{self, Format};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

fn main() -> ExitCode {
    logging::init_without(Format::Json, &["hyper", "reqwest"]);
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::error!(%error, "this program holds a token and cannot close itself to inspection");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(gitgate::deploy_keys::run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the order was not carried out");
            ExitCode::FAILURE
        }
    }
}
