//! Step 3 for the egress sidecar: identity, secrets, readiness.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use base::Secret;
use base::id::Slug;
use bus::{Credentials, Trace};
use handover::sidecar::{BusAccess, EgressHandover, EgressLimits, Listeners, SidecarAnswer, TraceHandover};
use handover::{Channel, ChannelError};
use policy::EgressPolicy;
use telemetry::UnusableEndpoint;

use crate::backend::{Backend, BackendError, SIDECAR_SPOOL, Sidecar, SidecarSpec};
use crate::config::LauncherConfig;
use crate::metrics::{self, UnusableMetrics};
use crate::token::Needed;
use crate::uplink::{UnusableUplink, uplink};

/// How long the sidecar may take to get ready.
const READY: Duration = Duration::from_secs(15);

/// How long one that has closed its channel may take to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why the sidecar does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Uplink(#[from] UnusableUplink),
    #[error(transparent)]
    Metrics(#[from] UnusableMetrics),
    #[error(transparent)]
    Collector(#[from] UnusableEndpoint),
    #[error("the egress sidecar does not answer: {0}{log}", log = log_hint(.1))]
    Channel(#[source] ChannelError, String),
    #[error("the egress sidecar refused to start: {0}")]
    Failed(String),
    #[error("the egress sidecar answered something else than was asked")]
    Unexpected,
}

fn log_hint(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its last words: {log}") }
}

/// What the sidecar gets.
pub(crate) struct Duties {
    pub(crate) bottle: Slug,
    pub(crate) credentials: Credentials,
    pub(crate) revision: u64,
    pub(crate) policy: EgressPolicy,
    pub(crate) needed: Needed,
    pub(crate) canary: Secret,
    /// The operator's own secret rules.
    pub(crate) rules: Option<String>,
    /// The bottle's start.
    pub(crate) trace: Trace,
}

/// A sidecar that is ready and waits for its listening socket.
pub(crate) struct Egress {
    pub(crate) process: Box<dyn Sidecar>,
    channel: Option<Channel>,
    /// The certificate (PEM) that the agent must trust.
    pub(crate) certificate: String,
}

/// Starts the sidecar and hands everything over.
pub(crate) async fn start(
    backend: &dyn Backend,
    config: &LauncherConfig,
    duties: Duties,
) -> Result<Egress, EgressError> {
    let bottle = duties.bottle.clone();
    let spec = SidecarSpec { bottle: bottle.clone(), name: "egress", program: config.egress() };
    let message = handover(config, duties)?;
    let mut process = backend.start_sidecar(spec).await?;
    let channel = process.take_channel().ok_or(EgressError::Unexpected)?;
    let (channel, answer) = talk(channel, move |channel| {
        channel.set_deadline(READY)?;
        channel.send(&message, &[])?;
        channel.receive::<SidecarAnswer>().map(|(answer, _)| answer)
    })
    .await;
    match answer {
        Ok(SidecarAnswer::Ready { certificate: Some(certificate) }) => {
            Ok(Egress { process, channel: Some(channel), certificate })
        }
        Ok(SidecarAnswer::Failed { reason }) => Err(EgressError::Failed(base::inert(&reason, 500))),
        Ok(_) => Err(EgressError::Unexpected),
        Err(error) => {
            // One that has ended has its last words in the log then; one that hangs says nothing more.
            drop(tokio::time::timeout(LAST_WORDS, process.wait()).await);
            Err(EgressError::Channel(error, last_words(config, &bottle)))
        }
    }
}

fn handover(config: &LauncherConfig, duties: Duties) -> Result<EgressHandover, EgressError> {
    let bus = BusAccess {
        url: config.bus_url.clone(),
        jwt: duties.credentials.jwt().to_owned(),
        seed: duties.credentials.seed().clone(),
    };
    let collector = config.collector()?.map(|endpoint| endpoint.to_string());
    Ok(EgressHandover {
        v: 1,
        bottle: duties.bottle,
        bus: Some(bus),
        revision: duties.revision,
        policy: duties.policy,
        secrets: duties.needed.secrets,
        canary: Some(duties.canary),
        authorities: duties.needed.authorities,
        rules: duties.rules,
        uplink: uplink(&config.environment)?,
        spool: SIDECAR_SPOOL.into(),
        metrics: metrics::socket(&config.environment)?,
        trace: Some(TraceHandover { context: duties.trace.to_string(), collector }),
        limits: EgressLimits::default(),
    })
}

impl Egress {
    /// Gives it the socket that listens inside the bottle, and waits until it serves.
    pub(crate) async fn serve(&mut self, listener: OwnedFd) -> Result<(), EgressError> {
        let channel = self.channel.take().ok_or(EgressError::Unexpected)?;
        let (channel, answer) = talk(channel, move |channel| {
            channel.send(&Listeners { names: vec!["proxy".to_owned()] }, &[listener.as_fd()])?;
            channel.receive::<SidecarAnswer>().map(|(answer, _)| answer)
        })
        .await;
        self.channel = Some(channel);
        match answer.map_err(|error| EgressError::Channel(error, String::new()))? {
            SidecarAnswer::Serving => Ok(()),
            SidecarAnswer::Failed { reason } => Err(EgressError::Failed(base::inert(&reason, 500))),
            SidecarAnswer::Ready { .. } => Err(EgressError::Unexpected),
        }
    }

    /// Asks it to stop: it finishes its records, then ends. After `grace` it is killed.
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
fn last_words(config: &LauncherConfig, bottle: &Slug) -> String {
    let end = end_of(&config.state().of(bottle).log("egress"), 600).unwrap_or_default();
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
