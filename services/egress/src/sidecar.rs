//! The conversation with the launcher over standard input (see `handover::sidecar`), and the process that follows.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle};
use handover::Channel;
use handover::sidecar::{EgressHandover, Listeners, SidecarAnswer};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

use crate::config::Config;
use crate::keeper::Destination;
use crate::live;
use crate::proxy::build;

/// How long the launcher may take for its next frame.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long requests in hand may go on after the end.
const GRACE: Duration = Duration::from_secs(5);

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
    let listeners = listeners(channel)?;
    if let Some(bus) = bus {
        life.spawn(live::follow(bus, bottle, proxy.policies(), published, life.clone()));
    }
    proxy.log_to(std::io::stderr());
    proxy.run(listeners);
    Ok(life)
}

/// The listening sockets inside the bottle.
fn listeners(channel: &mut Channel) -> anyhow::Result<Vec<tokio::net::TcpListener>> {
    let (Listeners { names }, descriptors) = channel.receive().context("receiving the listening sockets")?;
    if names.is_empty() || names.len() != descriptors.len() || names.iter().any(|name| name != "proxy") {
        bail!(
            "the launcher sent {} sockets named {names:?}; at least one, each named proxy, is needed",
            descriptors.len()
        );
    }
    let listen = |descriptor| {
        let listener = TcpListener::from(descriptor);
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    descriptors
        .into_iter()
        .map(listen)
        .collect::<std::io::Result<_>>()
        .context("taking over the listening sockets")
}

/// Stops the proxy when the launcher closes the channel, or dies.
async fn until_closed(socket: UnixStream, life: Lifecycle) {
    let socket = socket.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(socket));
    if let Ok(mut socket) = socket {
        let closed = async { while socket.read_u8().await.is_ok() {} };
        tokio::select! {
            () = closed => {}
            () = life.stopping() => {}
        }
    }
    life.stop();
}
