//! A collector for tests: on loopback, and as willing as it is told to be.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::endpoint::Endpoint;

/// How long a span may take to arrive.
const LIMIT: Duration = Duration::from_secs(30);

/// See the module. Ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    posts: mpsc::Receiver<Value>,
    waiting: VecDeque<Sent>,
    heard: Heard,
    life: Lifecycle,
}

/// What it got, and says.
#[derive(Clone, Debug, Default)]
struct Heard {
    text: Arc<Mutex<String>>,
    status: Arc<AtomicU16>,
}

/// A span that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `service.name`.
    pub service: String,
    /// As it came.
    pub span: Value,
}

impl Collector {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (life, heard, (queue, posts)) = (Lifecycle::new(), Heard::default(), mpsc::channel(1000));
        heard.status.store(200, Ordering::SeqCst);
        let (owner, hearing) = (life.clone(), heard.clone());
        life.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = owner.stopping() => return,
                };
                let Ok((stream, _)) = accepted else { return };
                let (queue, hearing) = (queue.clone(), hearing.clone());
                owner.spawn(async move {
                    let service = service_fn(|request| answer(request, &queue, &hearing));
                    // Who hangs up is looked for in what arrived.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, posts, waiting: VecDeque::new(), heard, life }
    }

    /// What to put into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where an exporter finds it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        (self.url() + "/v1/traces").parse().expect("a URL")
    }

    /// Answers with this status from now on; with an error's, what comes is not kept.
    pub fn say(&self, status: u16) {
        self.heard.status.store(status, Ordering::SeqCst);
    }

    /// The next span.
    ///
    /// # Panics
    /// When none comes, or something that is no OTLP.
    pub async fn next(&mut self) -> Sent {
        while self.waiting.is_empty() {
            let post =
                tokio::time::timeout(LIMIT, self.posts.recv()).await.expect("a span within 30 seconds");
            self.waiting.extend(spans(&post.expect("the collector runs")));
        }
        self.waiting.pop_front().expect("one is there")
    }

    /// The next span of this name, whatever comes before it.
    ///
    /// # Panics
    /// As [`Collector::next`].
    pub async fn named(&mut self, name: &str) -> Sent {
        loop {
            let sent = self.next().await;
            if sent.text("name") == name {
                return sent;
            }
        }
    }

    /// Everything that came, as it came.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn everything(&self) -> String {
        self.heard.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Sent {
    /// A field of the span; empty if it has none.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.span[field].as_str().unwrap_or_default()
    }

    /// An attribute's value; null if it has none.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Value {
        value(&self.span["attributes"], key)
    }
}

async fn answer(
    request: Request<Incoming>,
    queue: &mpsc::Sender<Value>,
    heard: &Heard,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_ours = request.uri().path() == "/v1/traces"
        && request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    heard.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
    let status = StatusCode::from_u16(heard.status.load(Ordering::SeqCst)).unwrap_or_default();
    let (status, post) = match (is_ours, serde_json::from_str(&text)) {
        (true, Ok(post)) => (status, post),
        _ => (StatusCode::BAD_REQUEST, Value::Null),
    };
    // The test may have heard enough.
    if status.is_success() && queue.send(post).await.is_err() {
        heard.status.store(503, Ordering::SeqCst);
    }
    let mut response = Response::new(Full::from("{}"));
    *response.status_mut() = status;
    Ok(response)
}

fn spans(post: &Value) -> Vec<Sent> {
    let resource = &post["resourceSpans"][0];
    let service = value(&resource["resource"]["attributes"], "service.name");
    let service = service.as_str().unwrap_or_default().to_owned();
    let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans").clone();
    spans.into_iter().map(|span| Sent { service: service.clone(), span }).collect()
}

fn value(attributes: &Value, key: &str) -> Value {
    let found = attributes.as_array().into_iter().flatten().find(|attribute| attribute["key"] == key);
    found.and_then(|found| found["value"].as_object()?.values().next().cloned()).unwrap_or_default()
}
