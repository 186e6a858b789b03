//! What the agent is told of a request that does not go through.

use std::fmt::Write as _;

use base::id::{ExchangeId, ProposalId};
use bus::message::egress::Found;
use http::header::{HeaderMap, USER_AGENT};
use http::{HeaderValue, Response, header};
use serde::Serialize;

use crate::body::Body;
use crate::refusal::{Asked, Refusal};

/// How the client wants to read a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A program.
    Json,
    /// git shows its user nothing but plain text.
    Git,
}

impl Reader {
    /// Who asks.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        if agent.is_some_and(|agent| agent.starts_with(b"git/")) { Self::Git } else { Self::Json }
    }
}

/// One document for everybody who reads it: agents, and the clients of model services, which look for `error` in the form of
/// the Anthropic and OpenAI APIs, give up at once when it is there, and show its message.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Erring,
    outcome: &'static str,
    rule: &'static str,
    reason: String,
    id: &'a ExchangeId,
    method: &'a str,
    scheme: &'static str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<&'a ProposalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ask: Option<Ask<'a>>,
}

#[derive(Serialize)]
struct Erring {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

/// The MCP call of the bottle's door that asks a person for what was refused.
#[derive(Serialize)]
struct Ask<'a> {
    tool: &'static str,
    arguments: Arguments<'a>,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a ExchangeId,
    /// For the agent to fill in; the door refuses it as it is.
    justification: &'static str,
}

/// The reply that tells the agent what was refused, by which rule, and how to ask for it if there is a door to ask at.
#[must_use]
pub(crate) fn reply(refusal: &Refusal, asked: &Asked, has_door: bool, reader: Reader) -> Response<Body> {
    let ask = Ask { tool: "egress-block", arguments: Arguments { id: &asked.id, justification: "…" } };
    let ask = (has_door && refusal.can_be_asked_for()).then_some(ask);
    let (kind, text) = match reader {
        Reader::Json => ("application/json", as_json(refusal, asked, ask)),
        Reader::Git => ("text/plain", as_text(refusal, asked, ask.is_some())),
    };
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = refusal.status();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if refusal.ends_connection() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn as_json(refusal: &Refusal, asked: &Asked, ask: Option<Ask<'_>>) -> String {
    let (outcome, kind) =
        if refusal.was_allowed() { ("failed", "api_error") } else { ("refused", "permission_error") };
    let message = format!("bot-bottle {outcome} this ({}): {}", refusal.rule(), refusal.told());
    let told = Told {
        kind: "error",
        error: Erring { kind, message },
        outcome,
        rule: refusal.rule(),
        reason: refusal.told(),
        id: &asked.id,
        method: &asked.method,
        scheme: asked.scheme,
        host: &asked.host,
        port: asked.port,
        path: &asked.path,
        found: refusal.found(),
        proposal: refusal.proposal(),
        ask,
    };
    // Strings and numbers always serialise.
    let mut text = serde_json::to_string(&told).unwrap_or_default();
    text.push('\n');
    text
}

fn as_text(refusal: &Refusal, asked: &Asked, ask: bool) -> String {
    let mut text = format!("bot-bottle refused this ({}): {}\n", refusal.rule(), refusal.told());
    if ask {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "To ask for it, call the MCP tool egress-block with id {} and a justification.",
            asked.id
        );
    }
    text
}
