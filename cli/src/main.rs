//! `bot-bottle`: what a person types.

use std::process::ExitCode;

use bot_bottle_cli::args::Cli;
use bot_bottle_cli::commands::completions::VARIABLE;
use bot_bottle_cli::exit::Exit;
use bot_bottle_cli::{commands, output};
use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

fn main() -> ExitCode {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // A reader that has gone is no failure.
            let _ = error.print();
            return if wrong { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("bot-bottle: cannot start: {error}"));
            return Exit::Internal.into();
        }
    };
    match runtime.block_on(Box::pin(commands::run(cli))) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::note(&format!("bot-bottle: {}", base::error::chain(failure.error.as_ref())));
            failure.exit.into()
        }
    }
}
