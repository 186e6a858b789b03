//! A forge with memory that has one repository's comments, statuses and people, as Gitea's API describes them.
#![expect(clippy::unwrap_used, reason = "a request that no forge would get is a defect of the story")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{TOKEN, soon};

/// The account that the token is of.
pub const ACCOUNT: &str = "helper";

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// The pull request's number.
    pub number: u64,
    /// What it says now.
    pub body: String,
    /// How often it was changed.
    pub edits: u64,
}

/// What the forge remembers.
#[derive(Clone, Debug, Default)]
pub struct Pulls {
    /// Comments, oldest first.
    pub comments: Vec<Comment>,
    /// Statuses: commit and state, oldest first.
    pub statuses: Vec<(String, String)>,
    /// Who may push.
    pub writers: Vec<String>,
    /// Who is in `team/reviewers`.
    pub reviewers: Vec<String>,
    /// Whether it answers only that it is away.
    pub is_away: bool,
    /// Requests that it got, also while it was away.
    pub requests: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct PullForge {
    address: SocketAddr,
    memory: watch::Sender<Pulls>,
    _serving: JoinSet<()>,
}

impl PullForge {
    /// Starts it on a free port of loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = watch::Sender::new(Pulls::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, memory.clone()));
        Self { address, memory, _serving: serving }
    }

    /// The address of its API.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// What it remembers now.
    #[must_use]
    pub fn memory(&self) -> Pulls {
        self.memory.borrow().clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Pulls)) {
        self.memory.send_modify(change);
    }

    /// Waits until it remembers something.
    ///
    /// # Panics
    /// When it has not come to that within the limit.
    pub async fn until(&self, what: &str, is: impl Fn(&Pulls) -> bool) -> Pulls {
        let mut changes = self.memory.subscribe();
        soon(what, changes.wait_for(|memory| is(memory))).await.unwrap().clone()
    }
}

impl Pulls {
    fn answer(&mut self, request: &Request<()>, body: &[u8]) -> (StatusCode, Value) {
        self.requests.push(format!("{} {}", request.method(), request.uri()));
        let not_found = (StatusCode::NOT_FOUND, json!({ "message": "not found" }));
        if self.is_away {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "away" }));
        }
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if token != Some(&format!("token {TOKEN}")) {
            return (StatusCode::UNAUTHORIZED, json!({ "message": "user does not exist" }));
        }
        let path = request.uri().path().strip_prefix("/api/v1").unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let text = || serde_json::from_slice::<Value>(body).unwrap()["body"].as_str().unwrap().to_owned();
        match (request.method(), parts.as_slice()) {
            (&Method::POST, ["repos", "team", "tools", "issues", number, "comments"]) => {
                let id = 100 + self.comments.len() as u64;
                let comment = Comment { id, number: number.parse().unwrap(), body: text(), edits: 0 };
                self.comments.push(comment.clone());
                (StatusCode::CREATED, shown(&comment))
            }
            (&Method::GET, ["repos", "team", "tools", "issues", number, "comments"]) => {
                let of = |comment: &&Comment| comment.number.to_string() == *number;
                (StatusCode::OK, self.comments.iter().filter(of).map(shown).collect())
            }
            (&Method::PATCH, ["repos", "team", "tools", "issues", "comments", id]) => {
                let found = self.comments.iter_mut().find(|comment| comment.id.to_string() == *id);
                let Some(comment) = found else { return not_found };
                comment.body = text();
                comment.edits += 1;
                (StatusCode::OK, shown(comment))
            }
            (&Method::POST, ["repos", "team", "tools", "statuses", sha]) => {
                let state =
                    serde_json::from_slice::<Value>(body).unwrap()["state"].as_str().unwrap().to_owned();
                self.statuses.push(((*sha).to_owned(), state));
                (StatusCode::CREATED, json!({ "id": self.statuses.len() }))
            }
            (&Method::GET, ["repos", "team", "tools", "collaborators", who, "permission"]) => {
                let may = self.writers.iter().any(|writer| writer == who);
                let permission = if may { "write" } else { "read" };
                (StatusCode::OK, json!({ "permission": permission, "role_name": permission }))
            }
            (&Method::GET, ["orgs", "team", "teams", "search"]) => {
                let found =
                    [json!({ "id": 3, "name": "reviewers-of-old" }), json!({ "id": 4, "name": "reviewers" })];
                (StatusCode::OK, json!({ "ok": true, "data": found }))
            }
            (&Method::GET, ["teams", "4", "members", who]) if self.reviewers.iter().any(|one| one == who) => {
                (StatusCode::OK, json!({ "login": who }))
            }
            _ => not_found,
        }
    }
}

fn shown(comment: &Comment) -> Value {
    json!({ "id": comment.id, "body": comment.body, "user": { "login": ACCOUNT } })
}

async fn serve(listener: TcpListener, memory: watch::Sender<Pulls>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let memory = Arc::new(memory.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let memory = memory.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let mut answer = None;
                let request = Request::from_parts(head, ());
                memory.send_modify(|memory| answer = Some(memory.answer(&request, &body)));
                let (status, answer) = answer.unwrap();
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
