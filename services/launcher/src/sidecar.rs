//! A sidecar of a bottle: its hand-over, its readiness, its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use base::id::Slug;
use bus::Credentials;
use handover::sidecar::{BusAccess, Listeners, SidecarAnswer};
use handover::{Channel, ChannelError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::{Backend, BackendError, Sidecar, SidecarSpec};
use crate::config::LauncherConfig;

/// How long a sidecar may take to get ready.
const READY: Duration = Duration::from_secs(15);

/// How long one order may take that needs somebody else's server.
const ORDER: Duration = Duration::from_secs(60);

/// How long one that has closed its channel may take to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a sidecar does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SidecarError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the {name} sidecar does not answer: {source}{log}", log = log_hint(.log))]
    Channel { name: &'static str, source: ChannelError, log: String },
    #[error("the {name} sidecar refused to start: {reason}")]
    Failed { name: &'static str, reason: String },
    #[error("the {0} sidecar answered something else than was asked")]
    Unexpected(&'static str),
    #[error("init opened no port for {0}")]
    NoPort(&'static str),
}

fn log_hint(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its last words: {log}") }
}

/// A sidecar that is ready and waits for its listening socket, or has it.
pub(crate) struct Started {
    name: &'static str,
    pub(crate) process: Box<dyn Sidecar>,
    channel: Option<Channel>,
}

/// Starts a sidecar, hands it what it needs, and waits until it is ready. Returns the certificate that it has for the
/// agent, too, if it has one.
pub(crate) async fn start(
    backend: &dyn Backend,
    config: &LauncherConfig,
    spec: SidecarSpec,
    handover: impl Serialize + Send + 'static,
) -> Result<(Started, Option<String>), SidecarError> {
    let (bottle, name) = (spec.bottle.clone(), spec.name);
    let mut process = backend.start_sidecar(spec).await?;
    let channel = process.take_channel().ok_or(SidecarError::Unexpected(name))?;
    let (channel, answer) = talk(channel, move |channel| {
        channel.set_deadline(READY)?;
        channel.send(&handover, &[])?;
        channel.receive::<SidecarAnswer>().map(|(answer, _)| answer)
    })
    .await;
    match answer {
        Ok(SidecarAnswer::Ready { certificate }) => {
            Ok((Started { name, process, channel: Some(channel) }, certificate))
        }
        Ok(SidecarAnswer::Failed { reason }) => Err(refused(name, &reason)),
        Ok(SidecarAnswer::Serving) => Err(SidecarError::Unexpected(name)),
        Err(source) => {
            // One that has ended has its last words in the log then; one that hangs says nothing more.
            drop(tokio::time::timeout(LAST_WORDS, process.wait()).await);
            Err(SidecarError::Channel { name, source, log: last_words(config, &bottle, name) })
        }
    }
}

/// Starts a program in a sidecar's box for one order, and waits for its answer and its end.
pub(crate) async fn ask<A: DeserializeOwned + Send + 'static>(
    backend: &dyn Backend,
    config: &LauncherConfig,
    spec: SidecarSpec,
    order: impl Serialize + Send + 'static,
) -> Result<A, SidecarError> {
    let (bottle, name) = (spec.bottle.clone(), spec.name);
    let mut process = backend.start_sidecar(spec).await?;
    let channel = process.take_channel().ok_or(SidecarError::Unexpected(name))?;
    let (_, answer) = talk(channel, move |channel| {
        channel.set_deadline(ORDER)?;
        channel.send(&order, &[])?;
        channel.receive::<A>().map(|(answer, _)| answer)
    })
    .await;
    if tokio::time::timeout(LAST_WORDS, process.wait()).await.is_err() {
        process.kill();
        drop(process.wait().await);
    }
    answer.map_err(|source| SidecarError::Channel { name, source, log: last_words(config, &bottle, name) })
}

fn refused(name: &'static str, reason: &str) -> SidecarError {
    SidecarError::Failed { name, reason: base::inert(reason, 500) }
}

/// How a sidecar reaches the bus with these credentials.
pub(crate) fn bus_access(config: &LauncherConfig, credentials: &Credentials) -> BusAccess {
    BusAccess {
        url: config.bus_url.clone(),
        jwt: credentials.jwt().to_owned(),
        seed: credentials.seed().clone(),
    }
}

impl Started {
    /// Gives it the socket that listens inside the bottle, under the name that it knows, and waits until it serves.
    pub(crate) async fn serve(&mut self, socket: &str, listener: OwnedFd) -> Result<(), SidecarError> {
        let name = self.name;
        let channel = self.channel.take().ok_or(SidecarError::Unexpected(name))?;
        let listeners = Listeners { names: vec![socket.to_owned()] };
        let (channel, answer) = talk(channel, move |channel| {
            channel.send(&listeners, &[listener.as_fd()])?;
            channel.receive::<SidecarAnswer>().map(|(answer, _)| answer)
        })
        .await;
        self.channel = Some(channel);
        let answer = answer.map_err(|source| SidecarError::Channel { name, source, log: String::new() })?;
        match answer {
            SidecarAnswer::Serving => Ok(()),
            SidecarAnswer::Failed { reason } => Err(refused(name, &reason)),
            SidecarAnswer::Ready { .. } => Err(SidecarError::Unexpected(name)),
        }
    }

    /// Asks it to stop: it finishes what it has in hand, then ends. After `grace` it is killed.
    pub(crate) async fn stop(mut self, grace: Duration) {
        drop(self.channel.take());
        if tokio::time::timeout(grace, self.process.wait()).await.is_err() {
            self.process.kill();
            drop(self.process.wait().await);
        }
    }
}

/// Talks over a channel off the runtime's threads.
async fn talk<T: Send + 'static>(
    mut channel: Channel,
    talk: impl FnOnce(&mut Channel) -> Result<T, ChannelError> + Send + 'static,
) -> (Channel, Result<T, ChannelError>) {
    let talking = tokio::task::spawn_blocking(move || {
        let said = talk(&mut channel);
        (channel, said)
    });
    talking.await.expect("a blocking task that does not panic")
}

/// The end of the sidecar's log, harmless to show.
fn last_words(config: &LauncherConfig, bottle: &Slug, name: &str) -> String {
    let end = end_of(&config.state().of(bottle).log(name), 600).unwrap_or_default();
    base::inert(String::from_utf8_lossy(&end).trim(), 600)
}

fn end_of(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(most).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_log_is_read() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut log, b"the beginning and the end").unwrap();
        assert_eq!(end_of(log.path(), 7).unwrap(), b"the end");
        assert_eq!(end_of(log.path(), 600).unwrap(), b"the beginning and the end");
    }
}
