//! `bot-bottle-gitgate`, as far as `git` starts it by other names (see `gitgate::helper`).

use std::process::ExitCode;

fn main() -> ExitCode {
    gitgate::helper::run(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
