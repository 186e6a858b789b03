//! One connection to the bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::credentials::Credentials;
use crate::error::{BusError, Denied};
use crate::trace::Trace;

/// How to connect.
#[derive(Clone)]
pub struct Connect {
    /// `nats://host:port`.
    pub url: String,
    /// Who connects.
    pub credentials: Credentials,
    /// What the connection is called in the server's listings.
    pub name: String,
    /// How long connecting may take; also how long [`Bus::publish`] and the buckets try.
    pub deadline: Duration,
}

impl Connect {
    /// A connection named after its user, with a deadline of ten seconds.
    #[must_use]
    pub fn new(url: impl Into<String>, credentials: Credentials) -> Self {
        let name = format!("bot-bottle {}", credentials.name());
        Self { url: url.into(), credentials, name, deadline: Duration::from_secs(10) }
    }
}

/// Whether the bus is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Connected.
    Up,
    /// Away; the connection is being made again, for ever.
    Down,
}

/// One connection to the bus. Cheap to clone; closed when the last clone is dropped.
///
/// It reconnects and resubscribes for ever. Messages are sent by the step of a trace that [`Bus::with_trace`] names, or
/// each as a trace of its own.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) deadline: Duration,
    trace: Option<Trace>,
    signs: Arc<Signs>,
}

/// What the connection tells from time to time.
struct Signs {
    name: String,
    link: watch::Sender<Link>,
    denied: broadcast::Sender<Denied>,
    dropped: AtomicU64,
}

/// How many messages may wait in one subscription; more are dropped and counted.
const SUBSCRIPTION_CAPACITY: usize = 8192;
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_secs(2);

impl Bus {
    /// Connects.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Unauthorized`], [`BusError::TooOld`].
    pub async fn connect(connect: Connect) -> Result<Self, BusError> {
        let Connect { url, credentials, name, deadline } = connect;
        let shown = shown_url(&url);
        let signs = Arc::new(Signs {
            name: credentials.name().to_owned(),
            link: watch::Sender::new(Link::Up),
            denied: broadcast::Sender::new(64),
            dropped: AtomicU64::new(0),
        });
        let options = options(&credentials, &name, deadline, signs.clone());
        let attempt = tokio::time::timeout(deadline, Box::pin(options.connect(url.as_str())));
        let client = match attempt.await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) if is_refusal(&error) => {
                return Err(BusError::Unauthorized { url: shown, name: credentials.name().to_owned() });
            }
            Ok(Err(error)) => {
                return Err(BusError::Unreachable { url: shown, deadline, source: Box::new(error) });
            }
            Err(elapsed) => {
                return Err(BusError::Unreachable { url: shown, deadline, source: Box::new(elapsed) });
            }
        };
        let found = client.server_info().version;
        if !crate::server::is_recent(&found) {
            return Err(BusError::TooOld { url: shown, found: base::inert(&found, 40) });
        }
        Ok(Self { client, deadline, trace: None, signs })
    }

    /// The same connection, whose messages are sent by this step of a trace.
    #[must_use]
    pub fn with_trace(&self, trace: Trace) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }

    /// The context of the next message: the step that sends it, or a trace of its own.
    #[must_use]
    pub fn next_trace(&self) -> Trace {
        self.trace.unwrap_or_else(Trace::random)
    }

    /// Follows whether the bus is there.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.signs.link.subscribe()
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.signs.name
    }

    /// How many times a message was dropped because a subscription of this connection was read too slowly.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.signs.dropped.load(Ordering::Relaxed)
    }

    /// Hears of every subject that the server refuses to this identity.
    pub(crate) fn denials(&self) -> broadcast::Receiver<Denied> {
        self.signs.denied.subscribe()
    }

    /// Waits until the bus is there, at most until `end`.
    pub(crate) async fn up(&self, end: Instant) {
        let mut link = self.link();
        // The sender lives as long as this Bus, so only the time-out can end the wait early.
        let _ = tokio::time::timeout_at(end, link.wait_for(|link| *link == Link::Up)).await;
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("name", &self.signs.name)
            .field("link", &*self.signs.link.borrow())
            .finish()
    }
}

impl Signs {
    /// Wakes nobody where nothing changes: the first connection is announced after it was made.
    fn becomes(&self, link: Link) {
        self.link.send_if_modified(|known| std::mem::replace(known, link) != link);
    }

    fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.becomes(Link::Up),
            Event::Disconnected | Event::Closed => self.becomes(Link::Down),
            Event::SlowConsumer(_) => {
                if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        name = self.name,
                        "messages are dropped: a subscription is read too slowly"
                    );
                }
            }
            Event::ServerError(ServerError::Other(words)) => match Denied::parse(&self.name, words) {
                Some(denied) => {
                    tracing::debug!(%denied, "refused by the bus");
                    // Nobody has to be waiting for it.
                    let _ = self.denied.send(denied);
                }
                None => {
                    tracing::warn!(name = self.name, error = base::inert(words, 200), "the bus complains");
                }
            },
            other => tracing::debug!(name = self.name, event = %other, "bus"),
        }
    }
}

fn options(credentials: &Credentials, name: &str, deadline: Duration, signs: Arc<Signs>) -> ConnectOptions {
    let seed = credentials.seed().clone();
    let sign = move |nonce: Vec<u8>| {
        let signed = nkeys::KeyPair::from_seed(seed.expose()).and_then(|key| key.sign(&nonce));
        async move { signed.map_err(async_nats::AuthError::new) }
    };
    ConnectOptions::with_jwt(credentials.jwt().to_owned(), sign)
        .name(name)
        .custom_inbox_prefix(credentials.inbox())
        .connection_timeout(deadline)
        .request_timeout(Some(deadline))
        .ping_interval(Duration::from_secs(20))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            signs.note(&event);
            async {}
        })
}

/// At once the first time, then 10 ms doubling to two seconds.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(10);
    if attempts <= 1 {
        return Duration::ZERO;
    }
    (Duration::from_millis(10) * 2_u32.pow(doublings)).min(LONGEST_RECONNECT_DELAY)
}

fn is_refusal(error: &async_nats::ConnectError) -> bool {
    matches!(error.kind(), ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication)
        // The client has no kind for this one.
        || base::error::chain(error).contains("Authentication Expired")
}

/// A URL without the user and password that it may carry.
fn shown_url(url: &str) -> String {
    let shown = match url.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned(),
    };
    base::inert(&shown, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_password() {
        for (url, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://me:word@bus.example:4222", "nats://bus.example:4222"),
            ("me:word@bus.example", "bus.example"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    #[test]
    fn reconnecting_slows_down_and_never_stops() {
        assert_eq!(reconnect_delay(1), Duration::ZERO);
        assert_eq!(reconnect_delay(3), Duration::from_millis(20));
        assert_eq!(reconnect_delay(1_000_000), LONGEST_RECONNECT_DELAY);
    }
}
