//! The conversation with the launcher over standard input (see `handover::sidecar`), and the process that follows.

use std::time::Duration;

use anyhow::Context as _;
use base::lifecycle::{Ending, Lifecycle};
use handover::Channel;
use handover::serving::{PATIENCE, listeners, until_closed};
use handover::sidecar::{DoorHandover, SidecarAnswer};

use super::{Config, build};

/// How long calls in hand may go on after the end.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the door of one bottle until the launcher closes the channel, or a signal comes.
///
/// # Errors
/// What kept it from starting; the launcher has been told the same.
pub async fn run() -> anyhow::Result<Ending> {
    let mut channel =
        Channel::from_stdin(PATIENCE).context("opening the launcher's channel on standard input")?;
    let (handover, _) = channel.receive::<DoorHandover>().context("receiving the hand-over")?;
    match start(handover, &mut channel) {
        Ok(life) => {
            channel
                .send(&SidecarAnswer::Serving, &[])
                .context("telling the launcher that the door is open")?;
            life.spawn_essential(until_closed(channel.into_socket(), life.clone()));
            Ok(life.run(GRACE).await)
        }
        Err(error) => {
            let reason = format!("{error:#}");
            // The launcher may be gone; the log has the reason as well.
            let _ = channel.send(&SidecarAnswer::Failed { reason }, &[]);
            Err(error)
        }
    }
}

fn start(handover: DoorHandover, channel: &mut Channel) -> anyhow::Result<Lifecycle> {
    let life = Lifecycle::new();
    life.stop_on_signals().context("listening for signals")?;
    let door = build(Config::from_handover(handover)?, &life);
    channel
        .send(&SidecarAnswer::Ready { certificate: None }, &[])
        .context("telling the launcher that the door is ready")?;
    door.run(listeners(channel, "mcp").context("receiving the listening sockets")?);
    Ok(life)
}
