//! Storing a message, and announcing one.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use crate::connection::Bus;
use crate::direct::Query;
use crate::envelope::{self, MESSAGE_ID, from_json, to_json};
use crate::error::BusError;
use crate::message::Message;

/// Where a published message is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Stored {
    /// The stream.
    pub stream: String,
    /// Its place in the stream, from 1.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// Whether the stream had it already, by its dedup key, and stored nothing.
    #[serde(default)]
    pub duplicate: bool,
}

/// A publication that the bus must confirm.
pub(crate) struct Publication {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

#[derive(Deserialize)]
struct ApiError {
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: ApiError,
}

/// The server's code for a compare-and-set that lost.
pub(crate) const WRONG_LAST_SEQUENCE: u64 = 10071;
const EXPECTED_LAST: &str = "Nats-Expected-Last-Sequence";
const ONE_TRY: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Bus {
    /// Publishes a message and waits until its stream has it on disk.
    ///
    /// It is tried again, under the same id, while the bus is away, until the connection's deadline: it is stored at
    /// most once, and exactly once when this returns `Ok`.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when it is not known to be stored, [`BusError::Denied`], [`BusError::Refused`].
    pub async fn publish<M: Message>(&self, message: &M) -> Result<Stored, BusError> {
        self.publish_within(message, self.deadline).await
    }

    /// Like [`Bus::publish`], with a deadline of its own.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn publish_within<M: Message>(
        &self,
        message: &M,
        within: Duration,
    ) -> Result<Stored, BusError> {
        let subject = message.subject();
        let payload = to_json(&format!("publishing on {subject}"), message)?;
        let mut headers = envelope::headers(self.next_trace());
        // A message without a key of its own still needs one, so that a second try is not a second message.
        let id = message.dedup_key().unwrap_or_else(|| ulid_like(self));
        headers.insert(MESSAGE_ID, id.as_str());
        self.store(Publication { subject, headers, payload }, within).await
    }

    /// Stores these very bytes as the message after `last`, or not at all: of several who append, one wins. Returns its
    /// sequence, `last` + 1 in a stream that nothing is deleted from.
    ///
    /// # Errors
    /// [`BusError::Conflict`] when the stream's last message is another, [`BusError::Deadline`] when it is not known to be
    /// stored, [`BusError::Denied`], [`BusError::Refused`].
    pub async fn append(
        &self,
        stream: &str,
        subject: &str,
        payload: Bytes,
        last: u64,
    ) -> Result<u64, BusError> {
        let mut headers = envelope::headers(self.next_trace());
        let id = base::id::ExchangeId::random();
        headers.insert(MESSAGE_ID, id.as_str());
        headers.insert(EXPECTED_LAST, last.to_string().as_str());
        let message = Publication { subject: subject.to_owned(), headers, payload };
        match self.store(message, self.deadline).await {
            Ok(stored) => Ok(stored.sequence),
            Err(BusError::Refused { code: WRONG_LAST_SEQUENCE, .. }) => {
                // A server that was restarted may have forgotten that the first try of this very append was stored.
                let query = Query { seq: Some(last + 1), ..Query::default() };
                match self.read_one(stream, &query).await? {
                    Some(entry)
                        if entry.headers.get(MESSAGE_ID).is_some_and(|has| has.as_str() == id.as_str()) =>
                    {
                        Ok(entry.sequence)
                    }
                    _ => Err(BusError::Conflict {
                        doing: format!("appending to stream {stream}"),
                        expected: last,
                    }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes a message that nothing stores and nobody answers, and hands it to the network.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when the bus is away for the whole of the connection's deadline.
    pub async fn announce<M: Message>(&self, message: &M) -> Result<(), BusError> {
        let subject = message.subject();
        let doing = format!("announcing {subject}");
        let payload = to_json(&doing, message)?;
        let headers = envelope::headers(self.next_trace());
        let end = Instant::now() + self.deadline;
        self.up(end).await;
        let sending = async {
            self.client
                .publish_with_headers(subject, headers, payload)
                .await
                .map_err(|e| BusError::Client { doing: doing.clone(), source: Box::new(e) })?;
            self.client
                .flush()
                .await
                .map_err(|e| BusError::Client { doing: doing.clone(), source: Box::new(e) })
        };
        match tokio::time::timeout_at(end, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(BusError::Deadline { doing: doing.clone(), deadline: self.deadline }),
        }
    }

    /// Publishes until a stream confirms it. The headers must carry a message id.
    pub(crate) async fn store(&self, message: Publication, within: Duration) -> Result<Stored, BusError> {
        let doing = format!("publishing on {}", message.subject);
        let end = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            self.up(end).await;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BusError::Deadline { doing, deadline: within });
            }
            let asked =
                async_nats::Request::new().headers(message.headers.clone()).payload(message.payload.clone());
            let answer = match self.ask(&doing, message.subject.clone(), asked, left.min(ONE_TRY)).await {
                Ok(answer) => answer,
                // JetStream answers a moment later than the server; a lost answer is asked for again.
                Err(BusError::Deadline { .. } | BusError::NoResponders { .. }) => {
                    tokio::time::sleep_until((Instant::now() + pause).min(end)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match acknowledgement(&doing, &message.subject, &answer.payload) {
                Err(BusError::Refused { code: 503, .. }) if Instant::now() < end => {
                    tokio::time::sleep_until((Instant::now() + pause).min(end)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                decided => return decided,
            }
        }
    }
}

fn acknowledgement(doing: &str, subject: &str, payload: &[u8]) -> Result<Stored, BusError> {
    if let Ok(Refusal { error }) = serde_json::from_slice(payload) {
        let code = if error.code == 503 || error.err_code == 0 { error.code } else { error.err_code };
        let answer = base::inert(&error.description, 200);
        return Err(BusError::Refused { doing: doing.to_owned(), answer, code });
    }
    from_json(subject, payload)
        .map_err(|malformed| BusError::Malformed { doing: doing.to_owned(), malformed })
}

/// An id that no other publication has.
fn ulid_like(bus: &Bus) -> String {
    format!("{}-{}", bus.name(), base::id::ExchangeId::random())
}
