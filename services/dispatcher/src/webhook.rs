//! The webhook's door: connections, sizes and times have bounds, and a delivery is answered once it is stored (D1).

mod delivery;
mod seats;

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
use telemetry::Kind;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::shared::Shared;
pub use delivery::{Refusal, Taken, kind, signed, take};
use seats::{Seat, Seats};

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;

/// Answers on one socket until the lifecycle stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, life: Lifecycle) {
    // As many again may have a delivery in hand.
    let places = Arc::new(Semaphore::new(2 * shared.limits.connections));
    let seats = Seats::new(shared.limits.connections);
    let serve = |stream, life| connection(shared.clone(), seats.take(), stream, life);
    accept(listener, places, life, serve).await;
}

async fn connection(shared: Arc<Shared>, seat: Arc<Seat>, stream: Connection, life: Lifecycle) {
    let _ = stream.set_nodelay();
    let (arrival, waits) = (shared.limits.arrival, seat.clone());
    let service = service_fn(move |request| {
        let (shared, seat) = (shared.clone(), seat.clone());
        async move {
            let response = answer(&shared, &seat, request).await;
            seat.wait();
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(arrival).max_buf_size(HEAD).max_headers(HEADERS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What a client does wrong is its own business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = waits.lost() => return,
        () = life.stopping() => connection.as_mut().graceful_shutdown(),
    }
    // A delivery in hand is answered: the forge would not send it again.
    let _ = connection.await;
}

async fn answer(shared: &Shared, seat: &Seat, request: Request<Incoming>) -> Response<Full<Bytes>> {
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
    seat.work();
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
    // What a request says of its own trace is not signed.
    let mut span = shared.tracer.begin("webhook", Kind::Server);
    span.set("bot_bottle.webhook", name);
    span.set("bot_bottle.delivery", event.delivery.as_str());
    let bus = shared.bus.with_trace(span.context());
    match bus.publish_within(event.as_ref(), shared.limits.storing).await {
        Ok(stored) => {
            let (delivery, duplicate, trace) = (&event.delivery, stored.duplicate, span.context().id());
            tracing::info!(webhook = name, delivery, duplicate, trace, "a delivery is stored");
            let outcome = if duplicate { "known already" } else { "stored" };
            span.set("bot_bottle.outcome", outcome);
            plain(StatusCode::OK, outcome)
        }
        Err(error) => {
            let error = base::error::chain(&error);
            span.fail(&error);
            tracing::error!(webhook = name, error, "a delivery is not stored");
            plain(StatusCode::SERVICE_UNAVAILABLE, "it could not be stored; send it again later")
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}
