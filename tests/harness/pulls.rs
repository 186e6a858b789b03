//! A forge with memory that has one repository's comments, statuses and people. Paths, statuses, fields and errors are
//! those of Gitea's OpenAPI description (`issueGetComments`, `issueCreateComment`, `issueEditComment`, `repoCreateStatus`,
//! `repoGetRepoPermissions`, `teamSearch`, `orgListTeamMember`), which Forgejo shares.
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
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{TOKEN, soon};

/// The account that the token is of.
pub const ACCOUNT: &str = "helper";
/// What it calls itself.
const SITE: &str = "https://git.example.com";

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
    /// When it was last changed.
    pub updated_at: Timestamp,
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
    /// Whether the token's account is no administrator of the repository.
    pub is_no_administrator: bool,
    /// Whether the commits that statuses are for are gone.
    pub is_without_commits: bool,
    /// Whether it takes comments in and holds the answers back.
    pub holds_comments: bool,
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
        if self.is_away {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "away");
        }
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if token != Some(&format!("token {TOKEN}")) {
            return refusal(StatusCode::UNAUTHORIZED, "user does not exist [uid: 0, name: ]");
        }
        let path = request.uri().path().strip_prefix("/api/v1").unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let query = request.uri().query().unwrap_or_default();
        let body = || serde_json::from_slice::<Value>(body).unwrap();
        match (request.method(), parts.as_slice()) {
            (&Method::POST, ["repos", "team", "tools", "issues", number, "comments"]) => {
                self.add(number.parse().unwrap(), &body())
            }
            (&Method::GET, ["repos", "team", "tools", "issues", number, "comments"]) => {
                self.listed(number.parse().unwrap(), query)
            }
            (&Method::PATCH, ["repos", "team", "tools", "issues", "comments", id]) => {
                self.edit(id.parse().unwrap(), &body())
            }
            (&Method::POST, ["repos", "team", "tools", "statuses", sha]) => self.report(sha, &body()),
            (&Method::GET, ["repos", "team", "tools", "collaborators", who, "permission"]) => {
                self.permission(who)
            }
            (&Method::GET, ["orgs", "team", "teams", "search"]) => found(query),
            (&Method::GET, ["teams", "4", "members", who]) if self.reviewers.iter().any(|one| one == who) => {
                (StatusCode::OK, account(who))
            }
            _ => not_found(),
        }
    }

    fn add(&mut self, number: u64, body: &Value) -> (StatusCode, Value) {
        let id = 100 + self.comments.len() as u64;
        let text = body["body"].as_str().unwrap().to_owned();
        let comment = Comment { id, number, body: text, edits: 0, updated_at: now() };
        self.comments.push(comment.clone());
        (StatusCode::CREATED, shown(&comment))
    }

    /// Those that were changed since a time; there are no pages.
    fn listed(&self, number: u64, query: &str) -> (StatusCode, Value) {
        let since = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "since");
        let since: Option<Timestamp> = since.map(|(_, since)| since.parse().unwrap());
        let is_asked_for = |comment: &&Comment| {
            comment.number == number && since.is_none_or(|since| comment.updated_at >= since)
        };
        (StatusCode::OK, self.comments.iter().filter(is_asked_for).map(shown).collect())
    }

    fn edit(&mut self, id: u64, body: &Value) -> (StatusCode, Value) {
        let Some(comment) = self.comments.iter_mut().find(|comment| comment.id == id) else {
            return not_found();
        };
        comment.body = body["body"].as_str().unwrap().to_owned();
        comment.edits += 1;
        comment.updated_at = now();
        (StatusCode::OK, shown(comment))
    }

    fn report(&mut self, sha: &str, body: &Value) -> (StatusCode, Value) {
        let state = body["state"].as_str().unwrap();
        if !["pending", "success", "error", "failure", "warning"].contains(&state) {
            return refusal(StatusCode::BAD_REQUEST, "no such state");
        }
        if self.is_without_commits {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "object does not exist");
        }
        self.statuses.push((sha.to_owned(), state.to_owned()));
        let status = json!({
            "id": self.statuses.len(), "status": state, "target_url": "", "description": body["description"],
            "url": format!("{SITE}/api/v1/repos/team/tools/statuses/{sha}"), "context": body["context"],
            "creator": account(ACCOUNT), "created_at": now(), "updated_at": now(),
        });
        (StatusCode::CREATED, status)
    }

    fn permission(&self, who: &str) -> (StatusCode, Value) {
        if self.is_no_administrator {
            return refusal(
                StatusCode::FORBIDDEN,
                "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can \
                 query only their own",
            );
        }
        let may = self.writers.iter().any(|writer| writer == who);
        let permission = if may { "write" } else { "read" };
        let answer = json!({ "permission": permission, "role_name": permission, "user": account(who) });
        (StatusCode::OK, answer)
    }
}

/// The teams whose names have what is asked for in them.
fn found(query: &str) -> (StatusCode, Value) {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    let asked = asked.map(|(_, asked)| asked.into_owned()).unwrap_or_default();
    let team = |id: u64, name: &str| {
        json!({
            "id": id, "name": name, "description": "", "organization": null, "includes_all_repositories": false,
            "permission": "write", "units": ["repo.pulls"], "units_map": { "repo.pulls": "write" },
            "can_create_org_repo": false,
        })
    };
    let teams = [(3, "reviewers-of-old"), (4, "reviewers"), (5, "writers")];
    let teams: Vec<Value> =
        teams.iter().filter(|(_, name)| name.contains(&asked)).map(|(id, name)| team(*id, name)).collect();
    (StatusCode::OK, json!({ "ok": true, "data": teams }))
}

fn shown(comment: &Comment) -> Value {
    let page = format!("{SITE}/team/tools/pulls/{}", comment.number);
    json!({
        "id": comment.id, "html_url": format!("{page}#issuecomment-{}", comment.id), "pull_request_url": page,
        "issue_url": "", "user": account(ACCOUNT), "original_author": "", "original_author_id": 0,
        "body": comment.body, "assets": [], "created_at": comment.updated_at, "updated_at": comment.updated_at,
    })
}

fn account(login: &str) -> Value {
    json!({ "id": 9, "login": login, "full_name": "", "email": format!("{login}@noreply.git.example.com"),
        "is_admin": false, "restricted": false, "active": false, "visibility": "public", "username": login })
}

fn not_found() -> (StatusCode, Value) {
    refusal(StatusCode::NOT_FOUND, "The target couldn't be found.")
}

/// What every error is told as.
fn refusal(status: StatusCode, message: &str) -> (StatusCode, Value) {
    (status, json!({ "message": message, "url": format!("{SITE}/api/swagger") }))
}

fn now() -> Timestamp {
    base::clock::Clock::System.now()
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
                if request.method() == Method::POST && request.uri().path().ends_with("/comments") {
                    let goes_on = |memory: &Pulls| !memory.holds_comments;
                    drop(memory.subscribe().wait_for(goes_on).await);
                }
                let answer = Full::new(Bytes::from(answer.to_string()));
                let response = Response::builder()
                    .status(status)
                    .header("content-type", "application/json;charset=utf-8");
                Ok::<_, Infallible>(response.body(answer).unwrap())
            }
        });
        connections.spawn(async move {
            let builder = hyper::server::conn::http1::Builder::new();
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
