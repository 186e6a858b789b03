//! The loop over the launcher's orders.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ExitCode};
use std::time::Duration;

use boundary::order::{Answer, Order};
use boundary::{Channel, ChannelError};
use rustix::process::Pid;

use crate::relay::Relay;
use crate::{agent, bind, exec, forward, rights, sys, terminal, unpack};

/// How long the launcher may be silent. It normally says everything within milliseconds, but a person may be asked
/// something between two orders; when it dies the channel closes at once.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves the orders that come over standard input.
///
/// # Errors
/// As [`connected`].
pub(crate) fn inherited() -> Result<ExitCode, ChannelError> {
    rights::drop_all()?;
    serve(Channel::from_stdin(SILENCE)?)
}

/// Serves the orders that come over the socket at `path`.
///
/// # Errors
/// Nobody listens there, or the channel closed or broke before the agent was started, or before its end could be reported.
pub(crate) fn connected(path: &Path) -> Result<ExitCode, ChannelError> {
    rights::drop_all()?;
    serve(Channel::new(UnixStream::connect(path)?, SILENCE)?)
}

/// Serves orders until the agent runs, then lives as its parent, reports its end and returns with its exit code.
fn serve(mut channel: Channel) -> Result<ExitCode, ChannelError> {
    // From here on no child can inherit the channel as its standard input.
    rustix::stdio::dup2_stdin(null()?).map_err(io::Error::from)?;
    let (agent, relay) = serve_orders(&mut channel)?;
    rustix::stdio::dup2_stdout(null()?).map_err(io::Error::from)?;
    rustix::stdio::dup2_stderr(null()?).map_err(io::Error::from)?;
    let code = agent::reap_until_end(&agent, channel.as_fd())?;
    if let Some(relay) = relay {
        relay.finish();
    }
    // Without this word the launcher takes the boundary for lost.
    channel.send(&Answer::Ended { code }, &[])?;
    Ok(ExitCode::from(code))
}

fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

fn serve_orders(channel: &mut Channel) -> Result<(Child, Option<Relay>), ChannelError> {
    loop {
        let (order, descriptors) = channel.receive::<Order>()?;
        match order {
            Order::Bind { addresses } => match bind::bind(&addresses) {
                Ok(listeners) => {
                    let sockets: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
                    channel.send(&Answer::Bound, &sockets)?;
                }
                Err(reason) => channel.send(&Answer::Failed { reason }, &[])?,
            },
            Order::Forward { ports } => {
                let answer = forward::start(&ports)
                    .map_or_else(|reason| Answer::Failed { reason }, |()| Answer::Bound);
                channel.send(&answer, &[])?;
            }
            Order::Confine { programs } => {
                let loaded = programs.iter().try_for_each(|program| sys::load_filter(program));
                let answer = loaded.map_or_else(
                    |error| Answer::Failed { reason: format!("cannot load a seccomp filter: {error}") },
                    |()| Answer::Confined,
                );
                channel.send(&answer, &[])?;
            }
            Order::Exec { command, input, deadline_ms } => {
                let deadline = Duration::from_millis(deadline_ms);
                let answer = exec::exec(&command, &input, deadline)
                    .unwrap_or_else(|e| Answer::Failed { reason: format!("cannot run a command: {e}") });
                channel.send(&answer, &[])?;
            }
            Order::Unpack { root, into, links, bytes, entries } => {
                let rules = unpack::Rules { root, into, links, bytes, entries };
                let answer = unpack::unpack(&rules, descriptors);
                channel.send(&answer.unwrap_or_else(|reason| Answer::Failed { reason }), &[])?;
            }
            Order::Run { command } => match start(&command, descriptors) {
                Ok(agent) => {
                    channel.send(&Answer::Started, &[])?;
                    return Ok((agent, None));
                }
                Err(reason) => channel.send(&Answer::Failed { reason }, &[])?,
            },
            Order::Converse { command, rows, cols } => match converse(&command, (rows, cols), descriptors) {
                Ok((agent, Outside::HandedOut(terminal))) => {
                    channel.send(&Answer::Started, &[terminal.as_fd()])?;
                    return Ok((agent, None));
                }
                Ok((agent, Outside::Relayed(relay))) => {
                    channel.send(&Answer::Started, &[])?;
                    return Ok((agent, Some(relay)));
                }
                Err(reason) => channel.send(&Answer::Failed { reason }, &[])?,
            },
        }
    }
}

/// Where the outer side of a terminal is.
enum Outside {
    HandedOut(OwnedFd),
    Relayed(Relay),
}

fn converse(
    command: &boundary::order::Command,
    (rows, cols): (u16, u16),
    descriptors: Vec<OwnedFd>,
) -> Result<(Child, Outside), String> {
    if descriptors.is_empty() {
        let (agent, terminal) = terminal::start(command, rows, cols)?;
        return Ok((agent, Outside::HandedOut(terminal)));
    }
    let sockets: [OwnedFd; 2] = descriptors.try_into().map_err(|given: Vec<_>| {
        format!("a terminal's bytes and sizes are two sockets, not {}", given.len())
    })?;
    let (agent, terminal) = terminal::start(command, rows, cols)?;
    let relay = Relay::start(terminal, sockets, Pid::from_child(&agent));
    let relay = relay.map_err(|error| format!("cannot pass the program's terminal on: {error}"))?;
    Ok((agent, Outside::Relayed(relay)))
}

fn start(command: &boundary::order::Command, descriptors: Vec<OwnedFd>) -> Result<Child, String> {
    let streams: [OwnedFd; 3] = descriptors
        .try_into()
        .map_err(|given: Vec<_>| format!("the program needs three descriptors, not {}", given.len()))?;
    agent::start(command, streams)
}
