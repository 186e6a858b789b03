//! The server.

use std::convert::Infallible;

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::answer::{Content, Manner, Reply, document, events};
use super::script::{Failure, Turn};
use super::{Asked, Model, chat, messages, offered, responses};

/// More than any client sends.
const MAX_BODY: usize = 32 << 20;

/// Which API a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Messages,
    Responses,
    Chat,
}

pub(super) async fn accept(model: Model, listener: TcpListener, tls: TlsAcceptor, lifecycle: Lifecycle) {
    let stop = lifecycle.stop_token();
    while let Some(Ok((socket, _))) = stop.run_until_cancelled(listener.accept()).await {
        let (model, tls, stop) = (model.clone(), tls.clone(), stop.clone());
        lifecycle.spawn(async move {
            // A client that breaks its connection is that client's affair.
            let Ok(stream) = tls.accept(socket).await else { return };
            let service = service_fn(move |request| {
                let model = model.clone();
                async move { Ok::<_, Infallible>(model.answer(request).await) }
            });
            let server = Builder::new(TokioExecutor::new());
            let serving = server.serve_connection(TokioIo::new(stream), service);
            drop(stop.run_until_cancelled(serving).await);
        });
    }
}

impl Model {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let body =
            Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let coding = head.headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes);
        let body = decoded(coding, &body);
        let asked = Asked {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            at: Clock::System.now(),
            took_turn: false,
        };
        let path = head.uri.path();
        if head.headers.contains_key(header::UPGRADE) {
            return self.other(asked, StatusCode::UPGRADE_REQUIRED);
        }
        match (head.method, api(path)) {
            (Method::POST, Some(api)) => self.step(api, asked),
            (Method::POST, None) if path.ends_with("/count_tokens") => {
                self.memory().asked.push(asked);
                document(StatusCode::OK, &json!({ "input_tokens": 100 }))
            }
            _ => self.other(asked, StatusCode::NOT_FOUND),
        }
    }

    /// Something that a client asks beside its loop, and does without.
    fn other(&self, asked: Asked, status: StatusCode) -> Reply {
        self.memory().asked.push(asked);
        let failure =
            Failure { status: status.as_u16(), kind: "not_found_error".into(), message: "not here".into() };
        document(status, &messages::error(&failure))
    }

    fn step(&self, api: Api, mut asked: Asked) -> Reply {
        let request = asked.json();
        let mut memory = self.memory();
        let id = format!("{:04}", memory.asked.len());
        let turn = if offered::any(&request) {
            let turn = memory.turns.pop_front();
            asked.took_turn = turn.is_some();
            turn.unwrap_or_else(|| Turn::fail(400, "invalid_request_error", "the script has ended"))
        } else {
            Turn::say("A word")
        };
        let reply = play(api, &request, &id, turn.clone(), Manner::default());
        if reply.is_detour {
            // The turn itself comes when the tool that it uses has been found.
            memory.turns.push_front(turn);
        }
        memory.asked.push(asked);
        reply.reply
    }
}

struct Played {
    reply: Reply,
    is_detour: bool,
}

fn play(api: Api, request: &Value, id: &str, turn: Turn, manner: Manner) -> Played {
    let content = match turn {
        Turn::Say(text) => Some(Content::Text(text)),
        Turn::Half(text) => {
            return play(api, request, id, Turn::Say(text), Manner { cut: true, ..manner });
        }
        Turn::Held(gate, turn) => {
            return play(api, request, id, *turn, Manner { gate: Some(gate), ..manner });
        }
        Turn::Fail(failure) => return Played { reply: failed(api, &failure), is_detour: false },
        Turn::Shell(command) => offered::shell(request, &command).map(Content::Use),
        Turn::Call { tool, arguments } => offered::call(request, &tool, &arguments).map(Content::Use),
    };
    let Some(content) = content else {
        let failure = Failure {
            status: 400,
            kind: "invalid_request_error".to_owned(),
            message: "the client does not offer the tool that the script uses".to_owned(),
        };
        return Played { reply: failed(api, &failure), is_detour: false };
    };
    let is_detour = matches!(&content, Content::Use(used) if offered::is_detour(used));
    let model = &request["model"];
    let reply = match api {
        Api::Messages if request["stream"] != true => {
            document(StatusCode::OK, &messages::whole(&content, model, id))
        }
        Api::Messages => events(messages::events(&content, model, id), manner),
        Api::Responses => events(responses::events(&content, model, id), manner),
        Api::Chat => events(chat::events(&content, model, id), manner),
    };
    Played { reply, is_detour }
}

fn failed(api: Api, failure: &Failure) -> Reply {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match api {
        Api::Messages => document(status, &messages::error(failure)),
        Api::Responses | Api::Chat => document(status, &responses::error(failure)),
    }
}

fn api(path: &str) -> Option<Api> {
    [("/messages", Api::Messages), ("/responses", Api::Responses), ("/chat/completions", Api::Chat)]
        .into_iter()
        .find_map(|(end, api)| path.ends_with(end).then_some(api))
}

/// The body without its coding; as it is if that is not the one that clients use.
fn decoded(coding: Option<&[u8]>, body: &Bytes) -> Bytes {
    if coding != Some(b"zstd") {
        return body.clone();
    }
    let mut whole = Vec::with_capacity(MAX_BODY);
    match zstd_safe::decompress(&mut whole, body) {
        Ok(_) => whole.into(),
        Err(_) => body.clone(),
    }
}
