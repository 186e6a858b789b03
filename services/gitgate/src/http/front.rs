//! Connections: how many, how long, and what a defect on one of them may cost.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use base::accept::{Connection, Listener, accept};
use base::lifecycle::Lifecycle;
use futures::FutureExt as _;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::Reply;
use super::reply::{error, plain, refused};
use super::route::{Route, Service, Version, route};
use crate::gate::Gate;
use crate::{fetching, receiving};

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;

/// See the module.
#[derive(Clone)]
pub(crate) struct Front {
    gate: Arc<Gate>,
    places: Arc<Semaphore>,
}

impl Front {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        let places = Arc::new(Semaphore::new(gate.limits.connections));
        Self { gate, places }
    }

    /// Answers on one socket until the lifecycle stops.
    pub(crate) async fn serve(self, listener: Listener, life: Lifecycle) {
        let places = Arc::clone(&self.places);
        let serve = |stream, life| {
            let connection = AssertUnwindSafe(self.clone().connection(stream, life));
            async move {
                if connection.catch_unwind().await.is_err() {
                    tracing::error!("a connection was dropped because of a defect in the git gate");
                }
            }
        };
        accept(listener, places, life, serve).await;
    }

    async fn connection(self, stream: Connection, life: Lifecycle) {
        let _ = stream.set_nodelay();
        let idle = Duration::from_secs(self.gate.limits.idle_seconds);
        let service = service_fn(move |request| {
            let gate = Arc::clone(&self.gate);
            async move { Ok::<_, Infallible>(answer(gate, request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD).max_headers(HEADERS);
        // A client may close its half once it has asked.
        let connection = builder.half_close(false).serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // What a client does wrong is its own business.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = life.stopping() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn answer(gate: Arc<Gate>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let route = match route(&head.method, &head.uri, &head.headers) {
        Ok(route) => route,
        Err(wrong) => return refused(wrong),
    };
    let (Route::Advertise { repo, service } | Route::Serve { repo, service }) = &route;
    let Some(mirror) = gate.mirror(repo) else {
        let names: Vec<&str> = gate.mirrors.keys().map(String::as_str).collect();
        let text = format!("this bottle has no repository {repo}; it has: {}", names.join(", "));
        return plain(StatusCode::NOT_FOUND, &text, false);
    };
    let version = Version::of(&head.headers);
    match (&route, service) {
        (Route::Advertise { .. }, Service::UploadPack) => {
            fetching::advertise(&gate, &mirror, version, &route).await
        }
        (Route::Serve { .. }, Service::UploadPack) => {
            fetching::serve(&gate, &mirror, version, &route, &head.headers, body).await
        }
        (Route::Advertise { .. }, Service::ReceivePack) => {
            receiving::advertise(&gate, &mirror, version, &route).await
        }
        (Route::Serve { .. }, Service::ReceivePack) => {
            // A push comes to its end, and to its record, even where the connection is gone.
            let owner = gate.life.clone();
            let work = receiving::serve(gate, mirror, route.clone(), head.headers, body);
            match owner.spawn(work).await {
                Ok(Some(reply)) => reply,
                Ok(None) | Err(_) => error(&route, "the git gate is stopping, or has a defect; try again"),
            }
        }
    }
}
