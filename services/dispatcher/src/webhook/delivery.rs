//! One delivery: checked before anything of it is believed.

use std::borrow::Cow;
use std::time::Duration;

use base::Secret;
use bus::message::pr::PrEvent;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::event::{self, Envelope, Other, Reading, Unreadable};
use crate::signature::{Unsigned, verify};

/// Headers with the delivery's id, the first that is there.
const DELIVERY: [&str; 4] =
    ["x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery"];
/// Headers with the event's kind.
const KIND: [&str; 4] = ["x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-github-event"];

/// What a delivery is.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// An event to store.
    Event(Box<PrEvent>),
    /// Nothing that anything is done about.
    Ignored {
        /// The delivery's id.
        delivery: String,
        /// Why.
        why: Ignored,
    },
}

/// Why a delivery that is in order has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is none of our events.
    Other(Other),
    /// It tells of something that is long over: somebody sends it again.
    Old,
}

/// Why a delivery is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not the forge's.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    /// It is in no form that is known.
    #[error("{0}")]
    Malformed(String),
}

impl Refusal {
    /// What it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(error: Unreadable) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Takes one that came in at `at`; what it tells may be `age` old.
///
/// # Errors
/// Nothing of it is believed.
pub fn take(
    webhook: &str,
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    at: Timestamp,
    age: Duration,
) -> Result<Taken, Refusal> {
    let signed = signed(headers, body)?;
    verify(secret, headers, &signed)?;
    let text = std::str::from_utf8(&signed).map_err(|_| malformed("its payload is no text"))?;
    let delivery =
        header(headers, &DELIVERY).filter(|id| is_id(id)).ok_or_else(|| malformed("it has no id"))?;
    let kind = kind(headers).ok_or_else(|| malformed("it does not say what kind of event it is"))?;
    let ignored = |why| Taken::Ignored { delivery: delivery.to_owned(), why };
    Ok(match event::read(Envelope { webhook, delivery, kind, at }, text)? {
        Reading::Other(other) => ignored(Ignored::Other(other)),
        // The id is not signed, so that what is sent again may have another one.
        Reading::Event { happened, .. } if is_old(happened, at, age) => ignored(Ignored::Old),
        Reading::Event { event, .. } => Taken::Event(event),
    })
}

/// What a forge signs: the body, or the payload in a form.
///
/// # Errors
/// A form without a payload, or another kind of body.
pub fn signed<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Refusal> {
    let kind =
        headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Cow::Borrowed(body)),
        "application/x-www-form-urlencoded" => {
            let mut fields = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
            match (fields.next(), fields.next()) {
                (Some((_, payload)), None) => Ok(Cow::Owned(payload.into_owned().into_bytes())),
                _ => Err(malformed("its form has not one payload")),
            }
        }
        _ => Err(malformed("it is neither JSON nor a form")),
    }
}

/// The forge's name of the event's kind.
#[must_use]
pub fn kind(headers: &HeaderMap) -> Option<&str> {
    header(headers, &KIND)
}

fn is_old(happened: Timestamp, at: Timestamp, age: Duration) -> bool {
    at.duration_since(happened) > jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX)
}

fn header<'h>(headers: &'h HeaderMap, names: &[&str]) -> Option<&'h str> {
    names.iter().find_map(|name| headers.get(*name)).and_then(|value| value.to_str().ok())
}

/// What is one token of a subject, as all forges' ids are.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}
