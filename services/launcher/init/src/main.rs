//! The first process inside a bottle. It opens the sidecar ports there and hands the listening sockets out, runs
//! what the launcher asks for, then starts the agent, and stays as its parent and reaper until it has reported the
//! agent's end. It gave up every right before anything else.
//!
//! `init` is process 1; its standard input is the hand-over channel. `init connect PATH` is the same where nobody can give
//! it a standard input: it finds the channel behind the Unix socket at that path. `init probe` is the escape probe: it reads a
//! plan from standard input and writes a report to standard output. `init look` says what programs would miss.

mod agent;
mod bind;
mod command;
mod exec;
mod forward;
mod look;
mod probe;
mod relay;
mod rights;
mod serve;
mod sys;
mod terminal;
mod unpack;

use std::process::ExitCode;

/// Init could not do its work; the reason went over the channel, if there was one.
const BROKEN: u8 = 125;

fn main() -> ExitCode {
    sys::ignore_no_signal();
    match std::env::args().nth(1).as_deref() {
        None => serve::inherited().unwrap_or(ExitCode::from(BROKEN)),
        Some("connect") => {
            let path = std::env::args_os().nth(2).unwrap_or_default();
            serve::connected(path.as_ref()).unwrap_or(ExitCode::from(BROKEN))
        }
        Some("probe") => probe::main(),
        Some("look") => look::main(),
        Some(_) => ExitCode::from(BROKEN),
    }
}
