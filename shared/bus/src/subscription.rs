//! Hearing messages live, and answering requests.

use std::marker::PhantomData;
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt as _;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::connection::Bus;
use crate::credentials::INBOX;
use crate::envelope::{self, Malformed, Payload, to_json};
use crate::error::{BusError, Denied};
use crate::message::Request;
use crate::request::denial;
use crate::trace::Trace;

/// Messages of one kind as they come. What comes while the bus is away, or faster than it is read for long
/// ([`Bus::dropped`]), is lost: what must not be lost is in a stream ([`crate::Follow`]) or asked for again.
pub struct Subscription<M> {
    bus: Bus,
    subject: String,
    messages: Subscriber,
    denials: broadcast::Receiver<Denied>,
    kind: PhantomData<fn() -> M>,
}

/// One message that came.
pub struct Delivery<M> {
    /// Where it was published.
    pub subject: String,
    /// The trace it belongs to.
    pub trace: Trace,
    /// The message, or what is wrong with it.
    pub message: Result<M, Malformed>,
    reply: Option<String>,
    bus: Bus,
}

impl Bus {
    /// Hears messages of one kind: all of them with `M::PATTERN`, or those of one bottle with its own subject. What is
    /// published after this has returned is heard.
    ///
    /// # Errors
    /// The subject is none, [`BusError::Deadline`]. A subject that this identity may not hear is reported by [`Subscription::next`].
    pub async fn subscribe<M: Payload>(&self, subject: &str) -> Result<Subscription<M>, BusError> {
        let doing = format!("subscribing to {subject}");
        let denials = self.denials();
        let failed = |source| BusError::Client { doing: doing.clone(), source };
        let messages =
            self.client.subscribe(subject.to_owned()).await.map_err(|error| failed(Box::new(error)))?;
        self.heard(&doing).await?;
        let subject = subject.to_owned();
        Ok(Subscription { bus: self.clone(), subject, messages, denials, kind: PhantomData })
    }

    /// Waits until the server has worked on everything that this connection has sent. A request to one's own inbox, where
    /// nobody answers, comes back at once as just that.
    async fn heard(&self, doing: &str) -> Result<(), BusError> {
        let end = Instant::now() + self.deadline;
        loop {
            self.up(end).await;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BusError::Deadline { doing: doing.to_owned(), deadline: self.deadline });
            }
            let nowhere = format!("{INBOX}{}.nobody", self.name());
            match self.ask(doing, nowhere, async_nats::Request::new(), left.min(ONE_TRY)).await {
                Ok(_) | Err(BusError::NoResponders { .. }) => return Ok(()),
                Err(BusError::Deadline { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<M: Payload> Subscription<M> {
    /// The next message. Dropping the wait loses nothing.
    ///
    /// # Errors
    /// [`BusError::Denied`] when this identity may not hear the subject, [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<Delivery<M>, BusError> {
        let message = tokio::select! {
            message = self.messages.next() => message,
            denied = denial(&mut self.denials, std::slice::from_ref(&self.subject), false) => return Err(denied.into()),
        };
        let Some(message) = message else {
            return Err(BusError::Closed { doing: format!("listening on {}", self.subject) });
        };
        let trace = envelope::trace(message.headers.as_ref());
        Ok(Delivery {
            message: M::parse(&message.subject, &message.payload),
            subject: message.subject.into_string(),
            trace,
            reply: message.reply.map(async_nats::Subject::into_string),
            bus: self.bus.clone(),
        })
    }
}

impl<R: Request> Delivery<R> {
    /// Answers a request, in its trace. Does nothing when nobody waits for an answer.
    ///
    /// # Errors
    /// [`BusError::ForeignReply`] when the asker wants the answer on a subject that is no inbox: with the answerer's
    /// rights it would reach subjects that the asker itself may not publish on. [`BusError::Client`].
    pub async fn answer(&self, reply: &R::Reply) -> Result<(), BusError> {
        let Some(inbox) = &self.reply else { return Ok(()) };
        let doing = format!("answering on {}", self.subject);
        if !(inbox.starts_with(INBOX) || inbox.starts_with(CROSSING)) {
            return Err(BusError::ForeignReply { doing, reply: base::inert(inbox, 120) });
        }
        let payload = to_json(&doing, reply)?;
        let headers = envelope::headers(self.trace);
        let sent = self.bus.client.publish_with_headers(inbox.clone(), headers, payload).await;
        sent.map_err(|error| BusError::Client { doing, source: Box::new(error) })
    }
}

const ONE_TRY: Duration = Duration::from_secs(2);
/// How the server names the inbox of an asker in another account.
const CROSSING: &str = "_R_.";
