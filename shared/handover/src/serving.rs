//! What every sidecar does with its end of the channel after it has said that it is ready.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use base::accept::Listener;
use base::lifecycle::Lifecycle;
use boundary::{Channel, ChannelError};
use tokio::io::AsyncReadExt as _;

use crate::sidecar::Listeners;

/// How long the launcher may take for its next frame.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// And for the listening sockets, since the bottle's image may have to be built first. The end of a launcher ends the wait
/// at once.
const BOTTLE: Duration = Duration::from_secs(60 * 60);

/// Why there are no listening sockets.
#[derive(Debug, thiserror::Error)]
pub enum ListenersError {
    /// The channel failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The launcher sent others than were needed.
    #[error(
        "the launcher sent {count} sockets named {names:?}; at least one, each named {wanted}, is needed"
    )]
    Others {
        /// How many.
        count: usize,
        /// Their names.
        names: Vec<String>,
        /// The name of each that is needed.
        wanted: String,
    },
    /// What was sent is no listening socket.
    #[error("a socket from the launcher cannot be listened on")]
    Socket(#[from] io::Error),
}

/// Receives the sockets that listen inside the bottle, or take what is forwarded from there, all of which must have this
/// name. Needs a runtime.
///
/// # Errors
/// [`ListenersError`]
pub fn listeners(channel: &mut Channel, name: &str) -> Result<Vec<Listener>, ListenersError> {
    channel.set_deadline(BOTTLE)?;
    let (Listeners { names }, descriptors) = channel.receive()?;
    channel.set_deadline(PATIENCE)?;
    if names.is_empty() || names.len() != descriptors.len() || names.iter().any(|other| other != name) {
        return Err(ListenersError::Others { count: descriptors.len(), names, wanted: name.to_owned() });
    }
    Ok(descriptors.into_iter().map(Listener::from_descriptor).collect::<io::Result<_>>()?)
}

/// Asks for the sidecar's stop when the launcher closes the channel, or dies.
pub async fn until_closed(socket: UnixStream, life: Lifecycle) {
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[tokio::test]
    async fn the_sockets_may_come_long_after_the_next_frame_should_have() {
        let (mut launcher, mut sidecar) = Channel::pair(Duration::from_millis(20)).unwrap();
        let waiting = std::thread::spawn(move || {
            assert!(matches!(sidecar.receive::<Listeners>(), Err(ChannelError::Deadline)));
            sidecar
        });
        let mut sidecar = waiting.join().unwrap();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let sending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            launcher.send(&Listeners { names: vec!["proxy".to_owned()] }, &[socket.as_fd()]).unwrap();
        });
        assert_eq!(listeners(&mut sidecar, "proxy").unwrap().len(), 1);
        sending.join().unwrap();
    }
}
