//! Reading a stream by direct requests.
//!
//! Only the provisioner may create consumers, since a consumer can be told to deliver to any subject and so to speak
//! as anybody. Everyone else reads with `$JS.API.DIRECT.GET`, which leaves nothing behind on the server: what was
//! read is known to the reader alone, and a reconnect needs no repair.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use crate::connection::Bus;
use crate::error::BusError;
use crate::request::denial;

/// What to read.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Query {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_by_subj: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_by_subj: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<u64>,
}

/// One stored message.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

const ONE_TRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

impl Bus {
    /// The stored message that a query means, or none.
    pub(crate) async fn read_one(&self, stream: &str, query: &Query) -> Result<Option<Entry>, BusError> {
        Ok(self.read(stream, query).await?.pop())
    }

    /// The stored messages that a query means, in order; tried until the connection's deadline.
    pub(crate) async fn read(&self, stream: &str, query: &Query) -> Result<Vec<Entry>, BusError> {
        let doing = format!("reading stream {stream}");
        let end = Instant::now() + self.deadline;
        loop {
            self.up(end).await;
            if Instant::now() >= end {
                return Err(BusError::Deadline { doing, deadline: self.deadline });
            }
            match self.read_once(&doing, stream, query, end).await {
                Err(BusError::Deadline { .. }) => {}
                Err(BusError::NoResponders { .. }) => {
                    tokio::time::sleep_until((Instant::now() + PAUSE).min(end)).await;
                }
                decided => return decided,
            }
        }
    }

    async fn read_once(
        &self,
        doing: &str,
        stream: &str,
        query: &Query,
        end: Instant,
    ) -> Result<Vec<Entry>, BusError> {
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let failed = |source| BusError::Client { doing: doing.to_owned(), source };
        let payload = serde_json::to_vec(query).map_err(|error| failed(Box::new(error)))?;
        let mut denials = self.denials();
        let inbox = self.client.new_inbox();
        let mut answers =
            self.client.subscribe(inbox.clone()).await.map_err(|error| failed(Box::new(error)))?;
        let sent = self.client.publish_with_reply(subject.clone(), inbox, payload.into()).await;
        sent.map_err(|error| failed(Box::new(error)))?;
        let mut entries = Vec::new();
        loop {
            let answer = tokio::select! {
                answer = tokio::time::timeout_at(end.min(Instant::now() + ONE_TRY), answers.next()) => answer,
                denied = denial(&mut denials, std::slice::from_ref(&subject), true) => return Err(denied.into()),
            };
            let Ok(Some(answer)) = answer else {
                return Err(BusError::Deadline { doing: doing.to_owned(), deadline: ONE_TRY });
            };
            match answer.status.map(|status| status.as_u16()) {
                None | Some(200) => entries.push(entry(doing, answer)?),
                // The end of a batch; nothing found.
                Some(204 | 404) => return Ok(entries),
                Some(503) => return Err(BusError::NoResponders { doing: doing.to_owned() }),
                Some(code) => {
                    let answer = base::inert(answer.description.as_deref().unwrap_or_default(), 200);
                    return Err(BusError::Refused { doing: doing.to_owned(), answer, code: u64::from(code) });
                }
            }
            if query.batch.is_none() {
                return Ok(entries);
            }
        }
    }
}

fn entry(doing: &str, answer: async_nats::Message) -> Result<Entry, BusError> {
    let headers = answer.headers.unwrap_or_default();
    let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let parts = (
        text("Nats-Subject"),
        text("Nats-Sequence").and_then(|sequence| sequence.parse().ok()),
        text("Nats-Time-Stamp").and_then(|at| at.parse().ok()),
    );
    let (Some(subject), Some(sequence), Some(at)) = parts else {
        return Err(BusError::Refused {
            doing: doing.to_owned(),
            answer: "an unreadable entry".into(),
            code: 0,
        });
    };
    Ok(Entry { subject, sequence, at, headers, payload: answer.payload })
}
