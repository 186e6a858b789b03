//! What goes back over the wire.

use std::io;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use super::script::Gate;

/// A response; its body breaks off with an error where the connection is to end.
pub(super) type Reply = Response<BoxBody<Bytes, io::Error>>;

/// What a model says or does in one answer.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Words for the person.
    Text(String),
    /// The use of a tool that the request offered.
    Use(Use),
}

/// The use of a tool.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// Where its name is looked up, if the client gave it one.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) input: Input,
}

/// What a tool is given.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Arguments(Value),
    /// A program in the language of the tool.
    Source(String),
}

impl Use {
    /// Its arguments, where it has any.
    pub(super) fn arguments(&self) -> &Value {
        match &self.input {
            Input::Arguments(arguments) => arguments,
            Input::Source(_) => &Value::Null,
        }
    }
}

/// How the events of a stream are let out.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    /// What the events after the first wait for.
    pub(super) gate: Option<Gate>,
    /// Whether half of the events are all there is.
    pub(super) cut: bool,
}

/// One document.
pub(super) fn document(status: StatusCode, document: &Value) -> Reply {
    let body = Full::from(document.to_string()).map_err(|never| match never {}).boxed();
    reply(status, "application/json", body)
}

/// An event stream.
pub(super) fn events(events: Vec<String>, manner: Manner) -> Reply {
    let count = if manner.cut { events.len() / 2 } else { events.len() };
    let mut events = events.into_iter().take(count).map(|event| Ok(Frame::data(Bytes::from(event))));
    let first: Vec<_> = events.by_ref().take(1).collect();
    let rest: Vec<_> = events.collect();
    let gate = manner.gate;
    let rest = stream::once(async move {
        if let Some(gate) = gate {
            gate.opened().await;
        }
        stream::iter(rest)
    });
    let end = manner.cut.then(|| Err(io::Error::other("the script ends the connection here")));
    let all = stream::iter(first).chain(rest.flatten()).chain(stream::iter(end));
    // Keeps what was said apart from how it ends: hyper drops what it has not yet sent when the body fails.
    let all = all.then(|event| async {
        if event.is_err() {
            tokio::task::yield_now().await;
        }
        event
    });
    reply(StatusCode::OK, "text/event-stream", BoxBody::new(StreamBody::new(Box::pin(all))))
}

fn reply(status: StatusCode, kind: &'static str, body: BoxBody<Bytes, io::Error>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    reply
}

/// An event with its type in a line of its own and in the document.
pub(super) fn event(kind: &str, mut document: Value) -> String {
    document["type"] = kind.into();
    format!("event: {kind}\ndata: {document}\n\n")
}
