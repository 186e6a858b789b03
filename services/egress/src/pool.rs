//! Connections that rest between requests. Each belongs to one route's link and one host, so that a credential only
//! ever travels over a connection that was dialled and verified for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::lifecycle::Lifecycle;
use http::{Request, Response};
use policy::{AllowedHost, Host};
use tokio::time::Instant;

use crate::body::{Outbound, Progress};
use crate::connection::{Http1, Http2, Source, Unsent};
use crate::dial::{Dialer, Dialled, Link, Offer, Speaks};
use crate::refusal::Refusal;

/// Resting HTTP/1 connections that one host may have.
const SHELF_LIMIT: usize = 128;
/// For how long one may rest; servers commonly hang up after 60 to 75 seconds.
const REST: Duration = Duration::from_secs(50);

/// The connections of one route.
pub(crate) struct Upstream {
    link: Link,
    header_bytes: usize,
    life: Lifecycle,
    shelves: Mutex<HashMap<Host, Arc<Shelf>>>,
}

/// The connections of one host.
#[derive(Default)]
pub(crate) struct Shelf {
    resting: Mutex<Vec<(Box<Http1>, Instant)>>,
    shared: Mutex<Option<Http2>>,
}

/// A connection for one request.
pub(crate) enum Line {
    /// All of it.
    Http1(Box<Http1>, Arc<Shelf>),
    /// A stream of it.
    Http2(Http2),
}

impl Upstream {
    pub(crate) fn new(link: Link, header_bytes: usize, life: Lifecycle) -> Self {
        Self { link, header_bytes, life, shelves: Mutex::default() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// A rested connection, if one is fit.
    pub(crate) async fn rested(&self, host: &AllowedHost) -> Option<Line> {
        let shelf = self.shelf(host.host());
        let shared = shelf.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(http2) = shared.filter(Http2::is_fit) {
            return Some(Line::Http2(http2));
        }
        while let Some(mut http1) = shelf.take() {
            if http1.is_fit().await {
                return Some(Line::Http1(http1, shelf));
            }
        }
        None
    }

    /// A new connection.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub(crate) async fn fresh(&self, host: &AllowedHost, dialer: &Dialer) -> Result<Line, Refusal> {
        let dialled = dialer.dial(&self.link, host, Offer::Any).await?;
        self.begin(dialled, host)
            .await
            .map_err(|error| Refusal::Upstream { host: host.to_string(), cause: error.to_string() })
    }

    async fn begin(&self, dialled: Dialled, host: &AllowedHost) -> hyper::Result<Line> {
        let shelf = self.shelf(host.host());
        match dialled.speaks {
            Speaks::Http1 => {
                Ok(Line::Http1(Box::new(Http1::begin(dialled, self.header_bytes).await?), shelf))
            }
            Speaks::Http2 => {
                let http2 = Http2::begin(dialled.stream, self.header_bytes, &self.life).await?;
                *shelf.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(http2.clone());
                Ok(Line::Http2(http2))
            }
        }
    }

    fn shelf(&self, host: &Host) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get(host) {
            return Arc::clone(shelf);
        }
        Arc::clone(shelves.entry(host.clone()).or_default())
    }

    /// Closes what has rested for too long, and forgets hosts without connections.
    pub(crate) fn sweep(&self) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.retain(|_, shelf| shelf.sweep() || Arc::strong_count(shelf) > 1);
    }

    /// Lets go of every connection that rests; those in use end with their answers.
    pub(crate) fn forget(&self) {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn life(&self) -> &Lifecycle {
        &self.life
    }
}

impl Shelf {
    /// Keeps a connection whose answer has ended.
    pub(crate) fn rest(&self, connection: Box<Http1>) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() < SHELF_LIMIT {
            resting.push((connection, Instant::now()));
        }
    }

    /// The connection that rested last: it is the least likely to be closed.
    fn take(&self) -> Option<Box<Http1>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).pop().map(|(connection, _)| connection)
    }

    /// Whether anything is left.
    fn sweep(&self) -> bool {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|(_, since)| since.elapsed() < REST);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.take_if(|http2| !http2.is_fit());
        !resting.is_empty() || shared.is_some()
    }
}

impl Line {
    pub(crate) fn speaks(&self) -> Speaks {
        match self {
            Self::Http1(..) => Speaks::Http1,
            Self::Http2(_) => Speaks::Http2,
        }
    }

    /// Sends the request, whose body's progress is given, and waits for the head of the answer for as long as
    /// [`patiently`](crate::patience::patiently) does; the connection goes with the answer's body.
    ///
    /// # Errors
    /// With the request, if it can be sent again elsewhere.
    pub(crate) async fn send(
        self,
        request: Request<Outbound>,
        progress: &Progress,
        idle: Duration,
        life: &Lifecycle,
    ) -> Result<Response<Source>, Unsent> {
        match self {
            Self::Http1(mut http1, shelf) => {
                let (head, body) = http1.send(request, progress, idle).await?.into_parts();
                let source = if progress.has_ended() {
                    Source::driving(body, http1, shelf)
                } else {
                    http1.release(life);
                    Source::Driven(body)
                };
                Ok(Response::from_parts(head, source))
            }
            Self::Http2(mut http2) => Ok(http2.send(request, progress, idle).await?.map(Source::Driven)),
        }
    }
}
