//! One connection from the agent, from its acceptance to its end: HTTP, then perhaps a tunnel, HTTP in it, then
//! perhaps a WebSocket.

use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use base::accept::Connection;
use base::bell::Bell;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use policy::{Host, Scheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::ca;
use crate::connection::{MIN_BUFFER, Owned};
use crate::gateway::Gateway;
use crate::identify::{Door, Tunnel};
use crate::passthrough;
use crate::refusal::Refusal;
use crate::session::{Kind, Session, Upgrade, answer};
use crate::websocket::relay;
use crate::wire::{Expired, Wire};

/// How long requests in hand may go on after the bottle's end.
const DRAIN: Duration = Duration::from_secs(2);
/// The first byte of every TLS connection (RFC 8446, section 5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 0x16;

/// Bytes with which every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: u64 = 24;

/// A byte stream from the agent.
pub(crate) trait Agent: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Agent for S {}

/// Serves a connection to the proxy's own port.
pub(crate) async fn serve(gateway: Arc<Gateway>, stream: Connection) {
    // A socket that cannot take the option is about to fail in a way that says more.
    let _ = stream.set_nodelay();
    match speak_http1(&gateway, Door::Front, Wire::new(stream)).await {
        Some((Kind::Tunnel(host, port), wire)) => Box::pin(tunnel(&gateway, host, port, wire)).await,
        Some((Kind::WebSocket(opened), wire)) => Box::pin(relay(&gateway, wire, *opened)).await,
        None => {}
    }
}

/// Finds out what a tunnel carries, however slowly its first bytes come.
async fn tunnel(gateway: &Arc<Gateway>, host: Host, port: u16, mut wire: Wire<Connection>) {
    let deadline = Instant::now() + gateway.handshake();
    let tunnel = Tunnel { host, port, scheme: Scheme::Https, disagreement: None };
    let first = tokio::select! {
        first = timeout_at(deadline, wire.peek()) => first,
        () = gateway.life.stopping() => return,
    };
    let refusal = match first {
        Ok(Ok(Some(TLS_HANDSHAKE))) => {
            let running = gateway.live.current();
            return match passthrough::route(&running, &tunnel) {
                Some(to) => passthrough::pass(gateway, &running, to, &tunnel, (wire, deadline)).await,
                None => inside_tls(gateway, tunnel, wire, deadline).await,
            };
        }
        Ok(Ok(Some(b'A'..=b'Z'))) => {
            return inside(gateway, Door::Tunnel(Tunnel { scheme: Scheme::Http, ..tunnel }), wire).await;
        }
        Ok(Ok(Some(_))) => Refusal::NotHttp,
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => Refusal::HandshakeTimeout(gateway.limits.handshake_seconds),
    };
    gateway.record_silent(refusal, &Door::Tunnel(tunnel), 0).await;
}

async fn inside_tls(gateway: &Arc<Gateway>, mut tunnel: Tunnel, wire: Wire<Connection>, deadline: Instant) {
    let late = Refusal::HandshakeTimeout(gateway.limits.handshake_seconds);
    let shaken = tokio::select! {
        shaken = timeout_at(deadline, handshake(gateway, &mut tunnel, wire)) => shaken,
        () = gateway.life.stopping() => return,
    };
    let refusal = match shaken {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            return speak_http2(gateway, Door::Tunnel(tunnel), Wire::new(stream)).await;
        }
        Ok(Ok(stream)) => return inside(gateway, Door::Tunnel(tunnel), Wire::new(stream)).await,
        Ok(Err(refusal)) => refusal,
        Err(_) => late,
    };
    gateway.record_silent(refusal, &Door::Tunnel(tunnel), 0).await;
}

/// Speaks TLS as the host that the client believes to reach. If that is another than the tunnel's, the handshake goes
/// through all the same, so that the refusal can be read; nothing else does.
async fn handshake(
    gateway: &Gateway,
    tunnel: &mut Tunnel,
    wire: Wire<Connection>,
) -> Result<TlsStream<Wire<Connection>>, Refusal> {
    let failed = |error: std::io::Error| Refusal::Handshake(base::inert(&error.to_string(), 200));
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), wire).await.map_err(failed)?;
    let named = start.client_hello().server_name().map(str::to_owned);
    if !ca::names(named.as_deref(), &tunnel.host) {
        let shown = named.as_deref().map_or_else(|| "no host".to_owned(), |name| base::inert(name, 255));
        tunnel.disagreement =
            Some(format!("the TLS handshake names {shown}, CONNECT {}", tunnel.host.authority()));
    }
    let host = named.and_then(|name| Host::parse(&name).ok()).unwrap_or_else(|| tunnel.host.clone());
    let config = gateway.ca.config_for(&host).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "cannot make a certificate");
        Refusal::Internal
    })?;
    start.into_stream(config).await.map_err(failed)
}

/// HTTP/1 in a tunnel, and the WebSocket that it may become.
async fn inside<S: Agent>(gateway: &Arc<Gateway>, door: Door, wire: Wire<S>) {
    if let Some((Kind::WebSocket(opened), wire)) = speak_http1(gateway, door, wire).await {
        Box::pin(relay(gateway, wire, *opened)).await;
    }
}

/// Speaks HTTP/1 until the connection ends or becomes something else.
async fn speak_http1<S: Agent>(gateway: &Arc<Gateway>, door: Door, wire: Wire<S>) -> Option<(Kind, Wire<S>)> {
    let limits = &gateway.limits;
    let wire = wire.framed(limits.header_bytes);
    let gauge = wire.gauge();
    let session = Arc::new(Session::new(Arc::clone(gateway), door, Some(Arc::clone(&gauge))));
    let service = service_fn(|request| answer(Arc::clone(&session), request));
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut watch = std::pin::pin!(async {
        tokio::select! {
            expired = gauge.expired(gateway.idle(), gateway.handshake()) => Some(expired),
            () = gateway.life.stopping() => None,
        }
    });
    let (busy, beside) = (Bell::new(), Bell::new());
    let ended = tokio::select! {
        biased;
        ended = poll_fn(|cx| busy.poll(cx, |cx| connection.as_mut().poll(cx))) => ended,
        event = poll_fn(|cx| beside.poll_woken(cx, |cx| watch.as_mut().poll(cx))) => {
            if let Some(expired) = event {
                Box::pin(note_expired(&session, expired)).await;
                return None;
            }
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
    };
    match ended {
        Ok(()) => become_other(session.take_upgrade()?).await,
        Err(error) => {
            Box::pin(note_broken(&session, &error)).await;
            None
        }
    }
}

async fn note_expired(session: &Session, expired: Expired) {
    if expired == Expired::Head {
        let refusal = Refusal::HeadTimeout(session.gateway.limits.handshake_seconds);
        session.gateway.record_silent(refusal, &session.door, 0).await;
    }
}

/// hyper has answered what it could not read by itself; here it is recorded.
async fn note_broken(session: &Session, error: &hyper::Error) {
    let refusal = if error.is_parse_too_large() {
        Refusal::HeadTooLarge(session.gateway.limits.header_bytes)
    } else if error.is_parse() {
        Refusal::Malformed(base::inert(&base::error::chain(error), 200))
    } else {
        return;
    };
    let status = refusal.status().as_u16();
    session.gateway.record_silent(refusal, &session.door, status).await;
}

async fn become_other<S: Agent>(upgrade: Upgrade) -> Option<(Kind, Wire<S>)> {
    // The agent may be gone before the answer is out.
    let upgraded = upgrade.agent.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Wire<S>>>().ok()?;
    Some((upgrade.kind, parts.io.into_inner().unframed(parts.read_buf)))
}

/// Speaks HTTP/2 until the connection ends.
async fn speak_http2<S: Agent>(gateway: &Arc<Gateway>, door: Door, wire: Wire<S>) {
    let gauge = wire.gauge();
    let session = Arc::new(Session::new(Arc::clone(gateway), door, None));
    let service = service_fn(|request| answer(Arc::clone(&session), request));
    let connection = http2::Builder::new(Owned(gateway.life.clone()))
        .timer(TokioTimer::new())
        .max_concurrent_streams(gateway.limits.streams)
        .max_header_list_size(u32::try_from(gateway.limits.header_bytes).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = gauge.stalled(gateway.idle()) => return,
        () = gauge.lags(PREFACE, gateway.handshake()) => {
            let refusal = Refusal::HandshakeTimeout(gateway.limits.handshake_seconds);
            return Box::pin(gateway.record_silent(refusal, &session.door, 0)).await;
        }
        () = gateway.life.stopping() => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = base::error::chain(&error), "an HTTP/2 connection broke");
    }
}
