//! Asking, with a deadline.

use std::time::Duration;

use async_nats::{Message as Raw, RequestErrorKind};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::connection::Bus;
use crate::envelope::{self, from_json, to_json};
use crate::error::{BusError, Denied};
use crate::message::Request;

/// JetStream's code for a message that is larger than a stream takes; the client finds out first what no server takes.
const TOO_LARGE: u64 = 10054;

impl Bus {
    /// Asks, and waits for the one answer.
    ///
    /// While the bus is away it waits for it, within the same deadline; what was sent is not sent again, since
    /// requests change things.
    ///
    /// # Errors
    /// [`BusError::NoResponders`], [`BusError::Deadline`], [`BusError::Denied`], [`BusError::Malformed`].
    pub async fn request<R: Request>(&self, request: &R, deadline: Duration) -> Result<R::Reply, BusError> {
        let subject = request.subject();
        let doing = format!("asking on {subject}");
        let end = Instant::now() + deadline;
        self.up(end).await;
        let asked = async_nats::Request::new()
            .headers(envelope::headers(self.next_trace()))
            .payload(to_json(&doing, request)?);
        let left = end.saturating_duration_since(Instant::now());
        let answer = match self.ask(&doing, subject.clone(), asked, left).await {
            Err(BusError::Deadline { doing, .. }) => return Err(BusError::Deadline { doing, deadline }),
            answer => answer?,
        };
        from_json(&subject, &answer.payload).map_err(|malformed| BusError::Malformed { doing, malformed })
    }

    /// One request without a second try. A refusal by the server ends it at once.
    pub(crate) async fn ask(
        &self,
        doing: &str,
        subject: String,
        request: async_nats::Request,
        within: Duration,
    ) -> Result<Raw, BusError> {
        let mut denials = self.denials();
        let answer = self.client.send_request(subject.clone(), request.timeout(Some(within)));
        let answer = tokio::select! {
            answer = answer => answer,
            denied = denial(&mut denials, std::slice::from_ref(&subject), true) => return Err(BusError::Denied(denied)),
        };
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => BusError::Deadline { doing: doing.to_owned(), deadline: within },
            RequestErrorKind::MaxPayloadExceeded => {
                BusError::Refused { doing: doing.to_owned(), answer: error.to_string(), code: TOO_LARGE }
            }
            RequestErrorKind::NoResponders => BusError::NoResponders { doing: doing.to_owned() },
            _ => BusError::Client { doing: doing.to_owned(), source: Box::new(error) },
        })
    }
}

/// Completes when the server refuses one of these subjects; never otherwise.
pub(crate) async fn denial(
    denials: &mut broadcast::Receiver<Denied>,
    subjects: &[String],
    publish: bool,
) -> Denied {
    loop {
        match denials.recv().await {
            Ok(denied) if denied.publish == publish && subjects.contains(&denied.subject) => return denied,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
