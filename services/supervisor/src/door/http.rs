//! HTTP/1.1 for the MCP server: connections, sizes and times have bounds here, whatever the SDK allows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base::accept::{Connection, Listener, accept};
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Limits;
use super::hang_up::{HangUp, Heard};
use super::server::Server;
use super::sessions::Sessions;

/// The names under which it is reached from inside.
const HOSTS: [&str; 4] = ["supervise", "localhost", "127.0.0.1", "::1"];
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;
/// How often a stream on which nothing happens says so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Clone)]
pub(super) struct Front {
    mcp: StreamableHttpService<Server, Sessions>,
    limits: Limits,
    connections: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(server: Server, limits: Limits, life: &Lifecycle) -> Self {
        let mut config = StreamableHttpServerConfig::default().with_allowed_hosts(HOSTS);
        config.sse_keep_alive = Some(KEEP_ALIVE);
        config.sse_retry = None;
        config.json_response = true;
        config.max_request_body_bytes = limits.body_bytes;
        config.cancellation_token = life.stop_token();
        let sessions = Arc::new(Sessions::new(limits.sessions));
        let mcp = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
        Self { mcp, limits, connections: Arc::new(Semaphore::new(limits.connections)) }
    }

    /// Answers on one socket until the lifecycle stops.
    pub(super) async fn serve(self, listener: Listener, life: Lifecycle) {
        let places = self.connections.clone();
        accept(listener, places, life, |stream, life| self.clone().connection(stream, life)).await;
    }

    async fn connection(self, stream: Connection, life: Lifecycle) {
        let _ = stream.set_nodelay();
        let arrival = self.limits.arrival;
        let service = service_fn(move |request| {
            let front = self.clone();
            async move { Ok::<_, Infallible>(front.answer(request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(arrival).max_buf_size(HEAD).max_headers(HEADERS);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        // What a client does wrong is its own business.
        tokio::select! {
            _ = connection => {}
            () = life.stopping() => {}
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        if request.uri().path() != "/" {
            return plain(StatusCode::NOT_FOUND, "the MCP server is at http://supervise:9100/");
        }
        let (mut parts, body) = request.into_parts();
        let body = Limited::new(body, self.limits.body_bytes);
        let body = match timeout(self.limits.arrival, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let most = format!("a request may have {} bytes", self.limits.body_bytes);
                return plain(StatusCode::PAYLOAD_TOO_LARGE, &most);
            }
            Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the request broke off"),
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time"),
        };
        let (sign, on_drop) = HangUp::new();
        parts.extensions.insert(sign);
        let response = self.mcp.handle(Request::from_parts(parts, Full::new(body))).await;
        response.map(|body| Heard::new(body, on_drop).boxed())
    }
}

fn plain(status: StatusCode, text: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))).boxed());
    *response.status_mut() = status;
    response
}
