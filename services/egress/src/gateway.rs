//! What all connections of one bottle share.

use std::sync::Arc;
use std::time::Duration;

use base::id::ExchangeId;
use base::lifecycle::Lifecycle;
use handover::sidecar::EgressLimits;
use http::HeaderMap;
use http::request::Parts;

use crate::ca::Authority;
use crate::contents::{Contents, Seen};
use crate::dial::Dialer;
use crate::identify::{Door, path};
use crate::incoming::Screen;
use crate::inspect::Scanner;
use crate::journal::Level;
use crate::metrics::{Metrics, Now};
use crate::record::{Exchange, Queue, Recorder};
use crate::refusal::{Asked, PATH_LIMIT, Refusal};
use crate::running::{Live, Running};

/// Bytes of a host that are recorded: no longer one exists (RFC 1035).
const HOST_LIMIT: usize = 255;
/// Bytes of a method that are recorded.
const METHOD_LIMIT: usize = 32;

pub(crate) struct Gateway {
    pub(crate) live: Arc<Live>,
    pub(crate) ca: Authority,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) scanner: Arc<Scanner>,
    pub(crate) screen: Screen,
    pub(crate) contents: Contents,
    pub(crate) dialer: Dialer,
    pub(crate) limits: EgressLimits,
    /// Whether the agent can ask for what is refused.
    pub(crate) has_door: bool,
    pub(crate) metrics: Option<Arc<Metrics>>,
    pub(crate) life: Lifecycle,
}

/// One request on its way through the stages, as far as its record is concerned.
pub(crate) struct Call {
    pub(crate) asked: Arc<Asked>,
    /// From its admission on.
    pub(crate) exchange: Option<Exchange>,
    /// Until then, what may be logged of it.
    pub(crate) seen: Option<Box<Seen>>,
}

impl Call {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked: Arc::new(asked), exchange: None, seen: None }
    }
}

impl Gateway {
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.limits.idle_seconds)
    }

    pub(crate) fn handshake(&self) -> Duration {
        Duration::from_secs(self.limits.handshake_seconds)
    }

    /// Gathers what may be logged of a request besides its decision (E12).
    pub(crate) fn gather(&self, running: &Running, headers: &HeaderMap) -> Option<Box<Seen>> {
        if running.log == Level::Contents { self.contents.gather(headers) } else { None }
    }

    /// What the metrics say of this moment.
    pub(crate) fn now(&self, records: &Queue) -> Now {
        Now {
            held: self.scanner.holds.held() as u64,
            queued: records.waiting() as u64,
            is_full: self.recorder.is_full(),
            revision: self.live.current().revision,
        }
    }

    /// Records that a request does not go through. What the agent is told: the same refusal, or why even the record
    /// cannot be kept.
    pub(crate) async fn record(&self, refusal: Refusal, call: &mut Call, status: u16) -> Refusal {
        match call.exchange.take() {
            // Its record says that it was allowed, and by its status of 0 that nothing came of it.
            Some(exchange) if refusal.was_allowed() => drop(exchange),
            Some(exchange) => exchange.refuse(&refusal),
            None => {
                let (under, seen) = (self.live.current().under(), call.seen.take());
                if let Err(worse) = self.recorder.refuse(&refusal, &call.asked, status, under, seen).await {
                    return worse;
                }
            }
        }
        refusal
    }

    /// Records what went wrong on a connection that cannot be answered any more.
    pub(crate) async fn record_silent(&self, refusal: Refusal, door: &Door, status: u16) {
        let mut call = Call::new(Asked::of_connection(door));
        let refusal = self.record(refusal, &mut call, status).await;
        tracing::debug!(rule = refusal.rule(), exchange.id = %call.asked.id, "closed a connection");
    }
}

impl Asked {
    /// What is known of a request before anything was decided.
    pub(crate) fn of_request(door: &Door, parts: &Parts) -> Self {
        let mut asked = Self::of_connection(door);
        if matches!(door, Door::Front) {
            let named = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
            asked.host = cut(parts.uri.host().or(named).unwrap_or_default(), HOST_LIMIT);
            asked.port = parts.uri.port_u16();
        }
        asked.method = cut(parts.method.as_str(), METHOD_LIMIT);
        asked.path = cut_path(path(parts));
        asked
    }

    /// What is known of a connection before a request was read.
    pub(crate) fn of_connection(door: &Door) -> Self {
        let (scheme, host, port) = match door {
            Door::Front => ("http", String::new(), None),
            Door::Tunnel(tunnel) => {
                (tunnel.scheme.as_str(), tunnel.host.as_str().to_owned(), Some(tunnel.port))
            }
        };
        Self { id: ExchangeId::random(), method: String::new(), scheme, host, port, path: String::new() }
    }
}

/// A long path ends at a segment, so that no part of a value remains by which the value would not be known.
fn cut_path(path: &str) -> String {
    if path.len() <= PATH_LIMIT {
        return path.to_owned();
    }
    let kept = &path[..path.floor_char_boundary(PATH_LIMIT)];
    kept[..kept.rfind('/').map_or(0, |slash| slash + 1)].to_owned()
}

fn cut(text: &str, limit: usize) -> String {
    text[..text.floor_char_boundary(limit)].to_owned()
}
