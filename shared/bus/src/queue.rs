//! Work that exactly one consumer takes, and that comes back when that consumer dies.

use std::marker::PhantomData;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream;
use futures::StreamExt as _;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::connection::{Bus, Link};
use crate::envelope::{self, Payload};
use crate::error::{BusError, Denied};
use crate::job::Job;
use crate::layout::Queue;
use crate::request::denial;

/// One taker of a work queue. It asks for one job at a time, so that no job waits in a taker's memory.
pub struct WorkQueue<M> {
    bus: Bus,
    ask: String,
    inbox: String,
    jobs: Subscriber,
    link: watch::Receiver<Link>,
    denials: broadcast::Receiver<Denied>,
    asked_until: Option<Instant>,
    kind: PhantomData<fn() -> M>,
}

/// How long one request for a job stays with the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much later than the server the taker gives a request up.
const SLACK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

impl Bus {
    /// Takes work from a queue that was provisioned.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn work_queue<M: Payload>(&self, queue: &Queue) -> Result<WorkQueue<M>, BusError> {
        let inbox = self.client.new_inbox();
        let ask = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", queue.stream, queue.consumer);
        let jobs = self.client.subscribe(inbox.clone()).await.map_err(|error| BusError::Client {
            doing: format!("taking work from {}", queue.stream),
            source: Box::new(error),
        })?;
        let (link, denials) = (self.link(), self.denials());
        Ok(WorkQueue {
            bus: self.clone(),
            ask,
            inbox,
            jobs,
            link,
            denials,
            asked_until: None,
            kind: PhantomData,
        })
    }
}

impl Bus {
    /// How many jobs of a queue wait or are in somebody's hand. Needs the admin role.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`], or the answer cannot be read.
    pub async fn unfinished(&self, queue: &Queue) -> Result<u64, BusError> {
        let doing = format!("counting the jobs of {}", queue.stream);
        let subject = format!("$JS.API.STREAM.INFO.{}", queue.stream);
        let answer = self.ask(&doing, subject, async_nats::Request::new(), self.deadline).await?;
        let read = serde_json::from_slice::<serde_json::Value>(&answer.payload);
        let count = read.ok().and_then(|info| info["state"]["messages"].as_u64());
        count.ok_or_else(|| BusError::Client { doing, source: "the server's answer has no count".into() })
    }
}

impl<M: Payload> WorkQueue<M> {
    /// Waits for the next job, for as long as it takes; the bus may come and go meanwhile. Dropping the wait loses
    /// nothing: a job that was on its way is there at the next call.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<Job<M>, BusError> {
        loop {
            let until = self.asked().await?;
            let message = tokio::select! {
                message = tokio::time::timeout_at(until, self.jobs.next()) => message,
                denied = denial(&mut self.denials, std::slice::from_ref(&self.ask), true) => return Err(denied.into()),
                // A server that went away has forgotten what it was asked, and may be back by now.
                _ = self.link.changed() => {
                    self.asked_until = None;
                    continue;
                }
            };
            self.asked_until = None;
            match message {
                Ok(Some(message)) => match self.job(message) {
                    Some(job) => return Ok(job),
                    None => tokio::time::sleep(PAUSE).await,
                },
                Ok(None) => return Err(BusError::Closed { doing: format!("asking {}", self.ask) }),
                // The server's own time-out got lost.
                Err(_) => {}
            }
        }
    }

    /// Takes nothing more, and puts back at once what was on its way; without it, such a job comes back only after
    /// the queue's `ack_wait`.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when the bus is away, or as [`Job::later`].
    pub async fn close(mut self) -> Result<(), BusError> {
        let (doing, deadline) = (format!("taking no more from {}", self.ask), self.bus.deadline);
        let rest = async {
            let ended = self.jobs.drain().await;
            ended.map_err(|error| BusError::Client { doing: doing.clone(), source: Box::new(error) })?;
            while let Some(message) = self.jobs.next().await {
                if let Some(job) = self.job(message) {
                    job.later(Duration::ZERO).await?;
                }
            }
            Ok(())
        };
        let late = BusError::Deadline { doing: doing.clone(), deadline };
        tokio::time::timeout(deadline, rest).await.unwrap_or(Err(late))
    }

    /// Makes sure that the server was asked for one job; until when the answer is waited for.
    async fn asked(&mut self) -> Result<Instant, BusError> {
        if let Some(until) = self.asked_until {
            return Ok(until);
        }
        // The sender lives as long as the Bus that is held here.
        let _ = self.link.wait_for(|link| *link == Link::Up).await;
        let ask = format!(r#"{{"batch":1,"expires":{}}}"#, PATIENCE.as_nanos());
        let sent = self.bus.client.publish_with_reply(self.ask.clone(), self.inbox.clone(), ask.into()).await;
        sent.map_err(|error| BusError::Client {
            doing: format!("asking {}", self.ask),
            source: Box::new(error),
        })?;
        let until = Instant::now() + PATIENCE + SLACK;
        self.asked_until = Some(until);
        Ok(until)
    }

    /// A job, unless the message is only the server's word that there is none.
    fn job(&self, message: async_nats::Message) -> Option<Job<M>> {
        let ack = message.reply.as_ref()?.to_string();
        let trace = envelope::trace(message.headers.as_ref());
        let parsed = M::parse(&message.subject, &message.payload);
        let context = jetstream::new(self.bus.client.clone());
        let message = jetstream::Message { message, context };
        let info = message.info().ok()?;
        let delivery = u64::try_from(info.delivered).unwrap_or(u64::MAX);
        let sequence = info.stream_sequence;
        Some(Job { message: parsed, sequence, delivery, trace, bus: self.bus.clone(), ack })
    }
}
