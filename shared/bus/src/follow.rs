//! A stream's messages from some point on, then live.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use async_nats::Subscriber;
use futures::stream::SelectAll;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use crate::connection::{Bus, Link};
use crate::direct::{Entry, Query};
use crate::envelope::{self, Malformed, Payload};
use crate::error::{BusError, Denied};
use crate::layout::STREAMS;
use crate::request::denial;
use crate::trace::Trace;

/// From where a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Everything that the stream still has.
    All,
    /// What comes from now on.
    Now,
    /// What was stored at this time or later.
    Time(Timestamp),
    /// What comes after this sequence.
    Sequence(u64),
}

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<T> {
    /// Its place in the stream, from 1; strictly rising.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// When the stream stored it.
    pub at: Timestamp,
    /// The trace it belongs to.
    pub trace: Trace,
    /// The message, or what is wrong with it.
    pub message: Result<T, Malformed>,
}

/// Reads a stream in its order, without gaps while the stream still has them, across any loss of the connection.
pub struct Follow<T> {
    pub(crate) tail: Tail,
    kind: PhantomData<fn() -> T>,
}

impl Bus {
    /// Follows the messages of a stream on the subjects that `filter` matches: `>` for all, `*.*.<bottle>` for one
    /// bottle's, `bottle.output.<bottle>` for its output.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn follow<T: Payload>(
        &self,
        stream: &str,
        filter: &str,
        since: Since,
    ) -> Result<Follow<T>, BusError> {
        Ok(Follow { tail: Tail::open(self, stream, filter, since).await?, kind: PhantomData })
    }
}

impl<T: Payload> Follow<T> {
    /// The next message, as soon as there is one. Dropping the wait loses nothing.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<Record<T>, BusError> {
        let entry = self.tail.next().await?;
        Ok(record(entry))
    }

    /// The next message that is stored already; none when the end has been reached for now.
    ///
    /// # Errors
    /// As [`Follow::next`], and [`BusError::Deadline`].
    pub async fn stored(&mut self) -> Result<Option<Record<T>>, BusError> {
        Ok(self.tail.stored().await?.map(record))
    }
}

fn record<T: Payload>(entry: Entry) -> Record<T> {
    Record {
        sequence: entry.sequence,
        at: entry.at,
        trace: envelope::trace(Some(&entry.headers)),
        message: T::parse(&entry.subject, &entry.payload),
        subject: entry.subject,
    }
}

/// The untyped inside of [`Follow`] and of a bucket's watch.
pub(crate) struct Tail {
    bus: Bus,
    stream: String,
    filter: String,
    next: Next,
    read: VecDeque<Entry>,
    wakes: Vec<String>,
    wake: SelectAll<Subscriber>,
    link: watch::Receiver<Link>,
    denials: broadcast::Receiver<Denied>,
    rest: Duration,
}

/// What is heard live to know that there is more. A pattern of the caller's own may be wider than what a role may
/// hear, so the stream's own subjects stand for it.
fn wakes(stream: &str, filter: &str) -> Vec<String> {
    match STREAMS.iter().find(|spec| spec.name == stream) {
        Some(spec) if filter.contains(['*', '>']) => spec.subjects.iter().map(|&s| s.to_owned()).collect(),
        _ => vec![filter.to_owned()],
    }
}

enum Next {
    Sequence(u64),
    Time(Timestamp),
}

const BATCH: u64 = 256;
const BATCH_BYTES: u64 = 1 << 20;
/// A live message can be heard a moment before the stream has stored it.
const SHORTEST_REST: Duration = Duration::from_millis(1);
/// How long at most a message stays unseen when its wake-up was lost.
const LONGEST_REST: Duration = Duration::from_secs(5);

impl Tail {
    pub(crate) async fn open(bus: &Bus, stream: &str, filter: &str, since: Since) -> Result<Self, BusError> {
        let (denials, link) = (bus.denials(), bus.link());
        // Heard before the end of the stream is asked for, so that nothing falls between.
        let wakes = wakes(stream, filter);
        let mut wake = SelectAll::new();
        for subject in &wakes {
            let subscriber = bus.client.subscribe(subject.clone()).await;
            wake.push(subscriber.map_err(|error| BusError::Client {
                doing: format!("following {subject}"),
                source: Box::new(error),
            })?);
        }
        let next = match since {
            Since::All => Next::Sequence(1),
            Since::Sequence(sequence) => Next::Sequence(sequence.saturating_add(1)),
            Since::Time(at) => Next::Time(at),
            Since::Now => {
                let last = Query { last_by_subj: Some(">".to_owned()), ..Query::default() };
                let last = bus.read_one(stream, &last).await?;
                Next::Sequence(last.map_or(1, |entry| entry.sequence + 1))
            }
        };
        Ok(Self {
            bus: bus.clone(),
            stream: stream.to_owned(),
            filter: filter.to_owned(),
            next,
            read: VecDeque::new(),
            wakes,
            wake,
            link,
            denials,
            rest: SHORTEST_REST,
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Entry, BusError> {
        loop {
            match self.stored().await {
                Ok(Some(entry)) => return Ok(entry),
                Ok(None) | Err(BusError::Deadline { .. }) => self.wait().await?,
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) async fn stored(&mut self) -> Result<Option<Entry>, BusError> {
        if self.read.is_empty() {
            self.fill().await?;
        }
        let entry = self.read.pop_front();
        if let Some(entry) = &entry {
            self.next = Next::Sequence(entry.sequence + 1);
            self.rest = SHORTEST_REST;
        }
        Ok(entry)
    }

    async fn fill(&mut self) -> Result<(), BusError> {
        // What was heard until now is read now, or is about to be stored.
        while let Some(Some(_)) = self.wake.next().now_or_never() {
            self.rest = SHORTEST_REST;
        }
        let mut query = Query {
            next_by_subj: Some(self.filter.clone()),
            batch: Some(BATCH),
            max_bytes: Some(BATCH_BYTES),
            ..Query::default()
        };
        match self.next {
            Next::Sequence(sequence) => query.seq = Some(sequence),
            Next::Time(at) => query.start_time = Some(at),
        }
        self.read = self.bus.read(&self.stream, &query).await?.into();
        Ok(())
    }

    /// Waits until there may be more: a live message, the bus's return, or a rest that doubles.
    async fn wait(&mut self) -> Result<(), BusError> {
        let rest = self.rest;
        self.rest = (rest * 2).min(LONGEST_REST);
        tokio::select! {
            message = self.wake.next() => match message {
                // Storing it takes about as long as a first, short rest.
                Some(_) => self.rest = SHORTEST_REST,
                None => return Err(BusError::Closed { doing: format!("following {}", self.filter) }),
            },
            denied = denial(&mut self.denials, &self.wakes, false) => return Err(denied.into()),
            _ = self.link.changed() => {}
            () = tokio::time::sleep(rest) => {}
        }
        Ok(())
    }
}
