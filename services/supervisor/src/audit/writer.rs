//! The one task that appends to the trail.

use std::io;
use std::time::Duration;

use base::clock::Clock;
use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::layout::{AUDIT, EVENTS, PROPOSALS};
use bus::message::Message as _;
use bus::message::audit::{AuditRecord, Component, Decision, Source};
use bus::message::proposal::Resolved;
use bus::{Bus, BusError, Follow, Record, Since};
use tokio::time::Instant;

use super::chain::{Chain, Draft};
use super::decision::{NARROW, Read, WIDE};
use super::key::{AuditKey, KeyError};
use super::line::{Anchor, Digest};
use super::verify::MOST_UNSEALED;
use super::{Place, Stored};

/// Why the trail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The local checkpoints.
    #[error("cannot use the audit checkpoints {path}")]
    Checkpoints {
        /// Their file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the bus has is not what it had.
    #[error(
        "the audit trail on the bus is not the one that this home signed: record {sequence} {what}; `bot-bottle audit verify` \
         says more. If the bus was made anew on purpose, move the home's audit folder away"
    )]
    Broken {
        /// The record.
        sequence: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A record has no JSON form.
    #[error("a record could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// How long a record waits for the signature that vouches for it.
const SEAL_WITHIN: Duration = Duration::from_secs(1);
/// Records longer than this are kept shorter; the bus takes no message over 1 MiB.
const LONGEST: usize = 960 * 1024;
/// For how long what is stored already is still recorded when a stop was asked for; the next start records the rest.
const DRAIN: Duration = Duration::from_secs(3);

/// Finds the end of the trail, begins it if there is none, and goes on recording as a task of `life`.
///
/// # Errors
/// [`AuditError`]; above all when the trail on the bus is not the one that this home's checkpoints are of.
pub async fn start(bus: &Bus, place: Place, clock: Clock, life: &Lifecycle) -> Result<(), AuditError> {
    let key = place.key()?;
    let mut writer = Writer { bus: bus.clone(), place, key, clock, chain: Chain::default() };
    writer.recover().await?;
    if writer.chain.last().sequence == 0 {
        writer.seal().await?;
    }
    let sources = writer.sources().await?;
    let life_of_task = life.clone();
    life.spawn_essential(async move {
        if let Err(error) = Box::pin(writer.run(sources, &life_of_task)).await {
            tracing::error!(error = chain(&error), "decisions are not recorded any more");
        }
    });
    Ok(())
}

struct Writer {
    bus: Bus,
    place: Place,
    key: AuditKey,
    clock: Clock,
    chain: Chain,
}

/// What is recorded.
struct Sources {
    events: Follow<Read>,
    resolved: Follow<Read>,
}

/// What became of an append.
enum Appended {
    Stored,
    /// Somebody else appended first, and the chain now ends with theirs.
    Lost,
}

impl Writer {
    async fn sources(&self) -> Result<Sources, BusError> {
        let since = |stream: &str| Since::Sequence(self.chain.read(stream));
        Ok(Sources {
            events: self.bus.follow(EVENTS, ">", since(EVENTS)).await?,
            resolved: self.bus.follow(PROPOSALS, Resolved::PATTERN, since(PROPOSALS)).await?,
        })
    }

    async fn run(mut self, mut sources: Sources, life: &Lifecycle) -> Result<(), AuditError> {
        let mut seal_at = None;
        loop {
            if self.chain.unsealed() == 0 {
                seal_at = None;
            } else {
                seal_at.get_or_insert_with(|| Instant::now() + SEAL_WITHIN);
            }
            let due = async {
                match seal_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = due => self.seal().await?,
                () = life.stopping() => break,
                resolved = sources.resolved.next() => self.record(PROPOSALS, &resolved?).await?,
                event = sources.events.next() => self.record(EVENTS, &event?).await?,
            }
        }
        match tokio::time::timeout(DRAIN, self.drain(sources)).await {
            Ok(drained) => drained,
            Err(_) => Ok(()),
        }
    }

    /// Records what is stored by now, and vouches for it.
    async fn drain(&mut self, mut sources: Sources) -> Result<(), AuditError> {
        while let Some(event) = sources.events.stored().await? {
            self.record(EVENTS, &event).await?;
        }
        while let Some(resolved) = sources.resolved.stored().await? {
            self.record(PROPOSALS, &resolved).await?;
        }
        if self.chain.unsealed() > 0 { self.seal().await } else { Ok(()) }
    }

    /// Records an event, unless it is recorded already.
    async fn record(&mut self, stream: &str, event: &Record<Read>) -> Result<(), AuditError> {
        let source = |sequence| Some(Source { stream: stream.to_owned(), sequence });
        loop {
            let read = self.chain.read(stream);
            if event.sequence <= read {
                return Ok(());
            }
            if self.chain.unsealed() >= MOST_UNSEALED {
                self.seal().await?;
                continue;
            }
            // Of the other streams only some subjects are recorded, so gaps there say nothing.
            if stream == EVENTS && event.sequence > read + 1 {
                let (from, through) = (read + 1, event.sequence - 1);
                let decision = Decision::Gap { stream: stream.to_owned(), from, through };
                let (component, bottle) = (Component::Trail, None);
                let draft = Draft { at: event.at, component, bottle, source: source(through), decision };
                self.append(self.chain.next(draft)?, component, event).await?;
                continue;
            }
            let Ok(message) = &event.message else { return Ok(()) };
            let component = message.component();
            let draft = Draft {
                at: event.at,
                component,
                bottle: message.bottle(),
                source: source(event.sequence),
                decision: message.decision(WIDE),
            };
            let bytes = self.fitting(draft, message)?;
            if let Appended::Stored = self.append(bytes, component, event).await? {
                return Ok(());
            }
        }
    }

    /// A record that the bus takes: whole, or else shorter, or else only the event's hash.
    fn fitting(&self, draft: Draft, message: &Read) -> Result<Vec<u8>, AuditError> {
        let bytes = self.chain.next(draft.clone())?;
        if bytes.len() <= LONGEST {
            return Ok(bytes);
        }
        let bytes = self.chain.next(Draft { decision: message.decision(NARROW), ..draft.clone() })?;
        if bytes.len() <= LONGEST {
            return Ok(bytes);
        }
        Ok(self.chain.next(Draft { decision: message.unreadable("it is too large to record"), ..draft })?)
    }

    async fn append(
        &mut self,
        bytes: Vec<u8>,
        component: Component,
        event: &Record<Read>,
    ) -> Result<Appended, AuditError> {
        let bus = self.bus.with_trace(event.trace);
        self.append_on(&bus, bytes, component).await
    }

    /// Appends a record, however long the bus is away.
    async fn append_on(
        &mut self,
        bus: &Bus,
        bytes: Vec<u8>,
        component: Component,
    ) -> Result<Appended, AuditError> {
        let (subject, last) = (format!("audit.{}", component.as_str()), self.chain.last().sequence);
        loop {
            match bus.append(AUDIT, &subject, bytes.clone().into(), last).await {
                Ok(_) => {
                    self.take(&bytes)?;
                    return Ok(Appended::Stored);
                }
                Err(BusError::Conflict { .. }) => {
                    self.catch_up().await?;
                    return Ok(Appended::Lost);
                }
                Err(BusError::Deadline { doing, .. }) => {
                    tracing::warn!(doing, "the bus is away; decisions are recorded when it is back");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Vouches for everything up to here, unless somebody else just did.
    async fn seal(&mut self) -> Result<(), AuditError> {
        let bus = self.bus.clone();
        while self.chain.last().sequence == 0 || self.chain.unsealed() > 0 {
            let bytes = self.chain.seal(self.clock.now(), &self.key)?;
            self.append_on(&bus, bytes, Component::Trail).await?;
        }
        Ok(())
    }

    /// Takes a stored record in; a signed one goes to the local file, too.
    fn take(&mut self, bytes: &[u8]) -> Result<AuditRecord, AuditError> {
        let sequence = self.chain.last().sequence + 1;
        let record = self.chain.take(bytes).map_err(|not_next| AuditError::Broken {
            sequence,
            what: format!("is not the next: {not_next}"),
        })?;
        if record.signature.is_some() {
            self.place.add_checkpoint(bytes).map_err(|source| self.checkpoints(source))?;
        }
        Ok(record)
    }

    /// Finds the end of the trail: from the last checkpoint that this home knows, or from the beginning.
    async fn recover(&mut self) -> Result<(), AuditError> {
        let known = self.place.last_checkpoint().map_err(|source| self.checkpoints(source))?;
        let known = known.map(|bytes| match serde_json::from_slice::<AuditRecord>(&bytes) {
            Ok(record) => Ok((record, bytes)),
            Err(error) => Err(self.checkpoints(io::Error::new(io::ErrorKind::InvalidData, error))),
        });
        if let Some((record, bytes)) = known.transpose()? {
            let seen = Anchor { sequence: record.sequence, hash: Digest::of(&bytes) };
            let broken = |what: &str| AuditError::Broken { sequence: seen.sequence, what: what.to_owned() };
            self.chain = Chain::before(&record).ok_or_else(|| broken("has no place in a chain"))?;
            let mut trail = self.trail().await?;
            match trail.stored().await? {
                None => return Err(broken("was there, and is gone")),
                Some(Record { message: Ok(Stored(there)), .. }) if Digest::of(&there) == seen.hash => {}
                Some(_) => return Err(broken("is another than it was")),
            }
            self.chain.take(&bytes).map_err(|not_next| broken(&not_next.to_string()))?;
        }
        self.catch_up().await
    }

    /// Reads what the trail has after the last known record.
    async fn catch_up(&mut self) -> Result<(), AuditError> {
        let mut trail = self.trail().await?;
        loop {
            match trail.stored().await {
                Ok(Some(record)) => {
                    let Ok(Stored(bytes)) = record.message else { continue };
                    self.take(&bytes)?;
                }
                Ok(None) => return Ok(()),
                Err(BusError::Deadline { doing, .. }) => {
                    tracing::warn!(doing, "the bus is away; decisions are recorded when it is back");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn trail(&self) -> Result<Follow<Stored>, BusError> {
        self.bus.follow(AUDIT, ">", Since::Sequence(self.chain.last().sequence)).await
    }

    fn checkpoints(&self, source: io::Error) -> AuditError {
        AuditError::Checkpoints { path: self.place.checkpoints().display().to_string(), source }
    }
}
