//! The conversation with the launcher over standard input (see `handover::sidecar`), and the process that follows.

use std::time::Duration;

use anyhow::Context as _;
use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle};
use handover::Channel;
use handover::serving::{PATIENCE, listeners, until_closed};
use handover::sidecar::{EgressHandover, SidecarAnswer};
use tokio::sync::watch;

use crate::config::Config;
use crate::keeper::Destination;
use crate::live;
use crate::proxy::build;

/// How long requests in hand may go on after the end, and the last records then take to reach the bus.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the sidecar of one bottle until the launcher closes the channel, or a signal comes.
///
/// # Errors
/// What kept it from starting; the launcher has been told the same.
pub async fn run() -> anyhow::Result<Ending> {
    let mut channel =
        Channel::from_stdin(PATIENCE).context("opening the launcher's channel on standard input")?;
    let (handover, _) = channel.receive::<EgressHandover>().context("receiving the hand-over")?;
    match start(handover, &mut channel) {
        Ok(life) => {
            channel
                .send(&SidecarAnswer::Serving, &[])
                .context("telling the launcher that the proxy serves")?;
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

fn start(handover: EgressHandover, channel: &mut Channel) -> anyhow::Result<Lifecycle> {
    let life = Lifecycle::new();
    life.stop_on_signals().context("listening for signals")?;
    let (config, bus) = Config::from_handover(handover)?;
    let bottle = config.bottle.clone();
    let (published, connection) = watch::channel(None);
    let mut proxy = build(config, Destination::Bus(connection), Clock::System, &life)?;
    let certificate = Some(proxy.certificate().to_owned());
    channel
        .send(&SidecarAnswer::Ready { certificate }, &[])
        .context("telling the launcher that the proxy is ready")?;
    let listeners = listeners(channel, "proxy").context("receiving the listening sockets")?;
    if let Some(bus) = bus {
        life.spawn(live::follow(bus, bottle, proxy.policies(), published, life.clone()));
    }
    proxy.log_to(std::io::stderr());
    proxy.run(listeners);
    Ok(life)
}
