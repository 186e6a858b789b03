//! From message to bytes and headers, and back.

use async_nats::HeaderMap;
use serde::de::DeserializeOwned;

use crate::message::Message;
use crate::trace::Trace;

/// A payload that is not the message its subject promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message on {subject}: {reason}")]
pub struct Malformed {
    /// Where it was.
    pub subject: String,
    /// What is wrong with it, harmless to show.
    pub reason: String,
}

/// What can be read from a subject and its payload.
pub trait Payload: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The payload is not of this kind, or says that it belongs to another subject.
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed>;
}

impl<M: Message> Payload for M {
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed> {
        let message: M = from_json(subject, payload)?;
        // Permissions bind a bottle to its own subjects; this binds its payloads to them too.
        if message.subject() == subject {
            return Ok(message);
        }
        let reason = format!("it says that it belongs on {}", base::inert(&message.subject(), 120));
        Err(Malformed { subject: subject.to_owned(), reason })
    }
}

/// Reads any JSON value; `place` is only for the error.
pub(crate) fn from_json<T: DeserializeOwned>(place: &str, payload: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(payload).map_err(|error| Malformed {
        subject: base::inert(place, 200),
        reason: base::inert(&error.to_string(), 300),
    })
}

/// The payload of a message. Our own types always serialise; a failure would be a defect and is reported as such.
pub(crate) fn to_json<T: serde::Serialize>(doing: &str, value: &T) -> Result<bytes::Bytes, crate::BusError> {
    serde_json::to_vec(value)
        .map(bytes::Bytes::from)
        .map_err(|error| crate::BusError::Client { doing: doing.to_owned(), source: Box::new(error) })
}

pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Headers of an outgoing message.
pub(crate) fn headers(trace: Trace) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(Trace::HEADER, trace.to_string().as_str());
    headers
}

/// The trace that a message belongs to; a new one when it has none that can be read.
pub(crate) fn trace(headers: Option<&HeaderMap>) -> Trace {
    headers
        .and_then(|headers| headers.get(Trace::HEADER))
        .and_then(|value| value.as_str().parse().ok())
        .unwrap_or_else(Trace::random)
}
