//! The webhook's door: connections, sizes and times have bounds, and a delivery is answered once it is stored (D1).

mod delivery;

use std::convert::Infallible;
use std::sync::Arc;

use base::accept::{Connection, accept};
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::shared::Shared;
pub use delivery::{Refusal, Taken, kind, signed, take};

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;

/// Answers on one socket until the lifecycle stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, life: Lifecycle) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let serve = |stream, life| connection(shared.clone(), stream, life);
    accept(listener, places, life, serve).await;
}

async fn connection(shared: Arc<Shared>, stream: Connection, life: Lifecycle) {
    let _ = stream.set_nodelay();
    let arrival = shared.limits.arrival;
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(arrival).max_buf_size(HEAD).max_headers(HEADERS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What a client does wrong is its own business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = life.stopping() => connection.as_mut().graceful_shutdown(),
    }
    // A delivery in hand is answered: the forge would not send it again.
    let _ = connection.await;
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(name) = request.uri().path().strip_prefix("/webhook/").map(str::to_owned) else {
        return plain(StatusCode::NOT_FOUND, "webhooks are at /webhook/NAME");
    };
    if !shared.file.webhooks.contains_key(&name) {
        return plain(StatusCode::NOT_FOUND, "there is no such webhook");
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "a delivery is posted");
    }
    let (parts, body) = request.into_parts();
    let body = match timeout(shared.limits.arrival, Limited::new(body, shared.limits.body).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let most = format!("a delivery may have {} bytes", shared.limits.body);
            return plain(StatusCode::PAYLOAD_TOO_LARGE, &most);
        }
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the delivery broke off"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the delivery did not arrive in time"),
    };
    let secret = shared.secret(&name);
    let taken = take(&name, secret, &parts.headers, &body, shared.clock.now(), shared.limits.age);
    stored(shared, &name, taken).await
}

async fn stored(shared: &Shared, name: &str, taken: Result<Taken, Refusal>) -> Response<Full<Bytes>> {
    let event = match taken {
        Ok(Taken::Event(event)) => event,
        Ok(Taken::Ignored { delivery, why }) => {
            tracing::info!(webhook = name, delivery, ?why, "a delivery is ignored");
            return plain(StatusCode::OK, "ignored");
        }
        Err(refusal) => {
            tracing::warn!(webhook = name, refusal = refusal.to_string(), "a delivery is refused");
            return plain(refusal.status(), &refusal.to_string());
        }
    };
    match shared.bus.publish_within(event.as_ref(), shared.limits.storing).await {
        Ok(stored) => {
            let (delivery, duplicate) = (&event.delivery, stored.duplicate);
            tracing::info!(webhook = name, delivery, duplicate, "a delivery is stored");
            plain(StatusCode::OK, if duplicate { "known already" } else { "stored" })
        }
        Err(error) => {
            tracing::error!(webhook = name, error = base::error::chain(&error), "a delivery is not stored");
            plain(StatusCode::SERVICE_UNAVAILABLE, "it could not be stored; send it again later")
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}
