//! A forge that has nothing but deploy keys of one repository, as Gitea's API describes them.
#![expect(clippy::unwrap_used, reason = "a request that no forge would get is a defect of the story")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The one token that it takes.
pub const TOKEN: &str = "made-up";
const KEYS: &str = "/api/v1/repos/team/tools/keys";

/// A key that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    #[serde(default)]
    id: i64,
    title: String,
    /// Its public half.
    pub key: String,
    /// Whether it may not push.
    pub read_only: bool,
}

#[derive(Debug, Default)]
struct Memory {
    keys: Vec<Key>,
    last: i64,
    keeps: bool,
}

/// See the module.
#[derive(Debug)]
pub struct FakeForge {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    serving: JoinSet<()>,
}

impl FakeForge {
    /// Starts it on a free port of loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Mutex::new(Memory::default()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, memory.clone()));
        Self { address, memory, serving }
    }

    /// Its address, as a manifest names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Ends it; returns where it was.
    pub async fn stop(mut self) -> String {
        let url = self.url();
        self.serving.shutdown().await;
        url
    }

    /// Has it hold a key already.
    pub fn add(&self, title: &str, key: &str) {
        self.memory().add(Key { id: 0, title: title.to_owned(), key: key.to_owned(), read_only: true });
    }

    /// The key of this title.
    #[must_use]
    pub fn key(&self, title: &str) -> Option<Key> {
        self.memory().keys.iter().find(|key| key.title == title).cloned()
    }

    /// What all its keys are called.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        self.memory().keys.iter().map(|key| key.title.clone()).collect()
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// From now on it deletes nothing.
    pub fn keep_everything(&self) {
        self.memory().keeps = true;
    }
}

impl Memory {
    fn add(&mut self, key: Key) -> i64 {
        self.last += 1;
        self.keys.push(Key { id: self.last, ..key });
        self.last
    }

    fn answer(&mut self, request: &Request<()>, body: &[u8]) -> (StatusCode, serde_json::Value) {
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if token != Some(&format!("token {TOKEN}")) {
            return (StatusCode::UNAUTHORIZED, json!({ "message": "user does not exist" }));
        }
        let Some(rest) = request.uri().path().strip_prefix(KEYS) else {
            return (StatusCode::NOT_FOUND, json!({ "message": "not found" }));
        };
        match *request.method() {
            Method::POST => {
                let id = self.add(serde_json::from_slice(body).unwrap());
                (StatusCode::CREATED, json!({ "id": id }))
            }
            Method::GET => {
                let page = request.uri().query().and_then(|query| query.split("page=").nth(1)).unwrap();
                let page: usize = page.parse().unwrap();
                let keys: Vec<&Key> = self.keys.iter().skip((page - 1) * 50).take(50).collect();
                (StatusCode::OK, json!(keys))
            }
            Method::DELETE if self.keeps => {
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": "words of the forge" }))
            }
            Method::DELETE => {
                let id: i64 = rest.trim_start_matches('/').parse().unwrap();
                let before = self.keys.len();
                self.keys.retain(|key| key.id != id);
                let gone =
                    if before == self.keys.len() { StatusCode::NOT_FOUND } else { StatusCode::NO_CONTENT };
                (gone, json!({}))
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, json!({})),
        }
    }
}

async fn serve(listener: TcpListener, memory: Arc<Mutex<Memory>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let memory = memory.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let memory = memory.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, answer) = memory.lock().unwrap().answer(&Request::from_parts(head, ()), &body);
                let answer = Full::new(Bytes::from(answer.to_string()));
                Ok::<_, Infallible>(Response::builder().status(status).body(answer).unwrap())
            }
        });
        connections.spawn(async move {
            let builder = hyper::server::conn::http1::Builder::new();
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
