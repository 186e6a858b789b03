//! The requests of one connection, each through all stages: identify, match, inject, dial, forward, record.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use policy::Host;

use crate::body::Body;
use crate::forward::forward;
use crate::gateway::{Call, Gateway};
use crate::identify::{Door, Intent, identify};
use crate::local::{self, Local};
use crate::refusal::{Asked, Refusal};
use crate::reply::{Reader, reply};
use crate::websocket::Opened;
use crate::wire::Gauge;

/// One connection that speaks HTTP.
pub(crate) struct Session {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) door: Door,
    /// For HTTP/1 only.
    gauge: Option<Arc<Gauge>>,
    next: Mutex<Option<Upgrade>>,
}

/// What an HTTP/1 connection becomes after its last answer.
pub(crate) struct Upgrade {
    /// The agent's side, as soon as the answer is out.
    pub(crate) agent: OnUpgrade,
    /// What for.
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// A tunnel to a host and port, of which nothing is known yet.
    Tunnel(Host, u16),
    /// A WebSocket, to which the origin has agreed already.
    WebSocket(Box<Opened>),
}

impl Session {
    pub(crate) fn new(gateway: Arc<Gateway>, door: Door, gauge: Option<Arc<Gauge>>) -> Self {
        Self { gateway, door, gauge, next: Mutex::default() }
    }

    /// What this connection becomes.
    pub(crate) fn take_upgrade(&self) -> Option<Upgrade> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Plans what this connection becomes once the answer to the current request is out.
    pub(crate) fn upgrade(&self, agent: OnUpgrade, kind: Kind) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Upgrade { agent, kind });
    }
}

/// Answers one request; the only place where a refusal becomes a reply.
pub(crate) async fn answer(
    session: Arc<Session>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let becomes = (request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE))
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut call = Call::new(Asked::of_request(&session.door, &parts));
    let reader = Reader::of(&parts.headers);
    match try_answer(&session, (parts, body), becomes, &mut call).await {
        Ok(response) => Ok(response),
        Err(refusal) => {
            let status = refusal.status().as_u16();
            let refusal = Box::pin(session.gateway.record(refusal, &mut call, status)).await;
            Ok(reply(&refusal, &call.asked, session.gateway.has_door, reader))
        }
    }
}

async fn try_answer(
    session: &Session,
    (mut parts, body): (Parts, Incoming),
    becomes: Option<OnUpgrade>,
    call: &mut Call,
) -> Result<Response<Body>, Refusal> {
    if let Some(gauge) = &session.gauge {
        gauge.next_request()?;
    }
    if session.gateway.life.is_stopping() {
        return Err(Refusal::Stopping);
    }
    let running = session.gateway.live.current();
    call.seen = session.gateway.gather(&running, &parts.headers);
    let target = match identify(&session.door, &parts)? {
        Intent::Forward(target) => target,
        Intent::Connect(host, port) => return open(session, host, port, becomes),
        Intent::Local => match local::answer(&running, &mut parts)? {
            Local::Page(response) => return Ok(response),
            Local::Mounted(target) => target,
        },
    };
    let asked = Arc::make_mut(&mut call.asked);
    asked.scheme = target.scheme.as_str();
    asked.port = Some(target.port);
    target.host.as_str().clone_into(&mut asked.host);
    forward(session, &running, &target, (parts, body), becomes, call).await
}

/// Opens a tunnel to anywhere: what it may carry is decided inside it, where a refusal can be read.
fn open(
    session: &Session,
    host: Host,
    port: u16,
    becomes: Option<OnUpgrade>,
) -> Result<Response<Body>, Refusal> {
    session.upgrade(becomes.ok_or(Refusal::Internal)?, Kind::Tunnel(host, port));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
