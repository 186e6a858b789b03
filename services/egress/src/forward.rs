//! From an identified request to its origin and back: match, inject, dial, forward.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use policy::{AllowedHost, Decision, NormalPath, RequestView, decide};

use crate::body::{Body, Inbound, Outbound, Plain, Progress, Received, announces_over};
use crate::connection::{Source, Unsent, send_upgrade};
use crate::dial::{Dialer, Offer, Speaks};
use crate::framing::Flaw;
use crate::gateway::{Call, Gateway};
use crate::headers::{has_token, strip, strip_twins};
use crate::identify::Target;
use crate::incoming::restrict;
use crate::inject::Credential;
use crate::inspect::{Inspection, Judging, inspect_head};
use crate::normal::normalise;
use crate::patience::patiently;
use crate::refusal::Refusal;
use crate::running::{Equipped, Running};
use crate::session::{Kind, Session};
use crate::timer::Timer;
use crate::websocket::{Opened, has_extension, offer_no_extension};

/// An allowed request and where it goes.
struct Outgoing<'a> {
    gateway: &'a Gateway,
    equipped: &'a Equipped,
    target: &'a Target,
    host: AllowedHost,
    path: PathAndQuery,
    revision: u64,
}

/// Sends a request to its origin, if the policy allows it.
///
/// # Errors
/// Every refusal of the stages match, inject, dial and forward.
pub(crate) async fn forward(
    session: &Session,
    running: &Running,
    target: &Target,
    (mut parts, body): (Parts, Incoming),
    becomes: Option<OnUpgrade>,
    call: &mut Call,
) -> Result<Response<Body>, Refusal> {
    let gateway = &*session.gateway;
    let becomes = becomes.filter(|_| parts.headers.contains_key(UPGRADE));
    normalise(&mut parts)?;
    if becomes.is_some() && !body.is_end_stream() {
        return Err(Refusal::Malformed("a request for an upgrade has no body".to_owned()));
    }
    if let Some(limit) = announces_over(&parts.headers, gateway.limits.body_bytes) {
        return Err(Refusal::BodyTooLarge(limit));
    }
    let mut outgoing = admit(gateway, running, target, &parts)?;
    let seen = call.seen.take();
    let exchange = gateway.recorder.admit(&call.asked, target.port, running.under(), seen).await?;
    let exchange = call.exchange.insert(exchange);

    let guarded = Arc::clone(&outgoing.equipped.guarded);
    strip_twins(&mut parts.headers, &guarded);
    if outgoing.equipped.watch.is_on() {
        restrict(&mut parts.headers);
    }
    let body = Plain::new(body, gateway.limits.body_bytes, gateway.idle(), guarded);
    exchange.follow(body.progress());
    let body = outgoing.inspect(&mut parts, body, call).await?;
    let request = Request::from_parts(parts, body);
    match becomes {
        None => {
            let response = outgoing.send(request).await?;
            outgoing.deliver(response, call).await
        }
        Some(agent) => Box::pin(outgoing.upgrade(session, request, agent, call)).await,
    }
}

/// Match: whether the policy allows the request.
fn admit<'a>(
    gateway: &'a Gateway,
    running: &'a Running,
    target: &'a Target,
    parts: &Parts,
) -> Result<Outgoing<'a>, Refusal> {
    let uri = &parts.uri;
    let view = RequestView {
        scheme: target.scheme,
        host: &target.host,
        port: target.port,
        method: parts.method.as_str(),
        path: uri.path_and_query().map_or("/", |path| if path.path().is_empty() { "/" } else { path.path() }),
        query: uri.query(),
        headers: &parts.headers,
    };
    match decide(&running.policy, &view) {
        Decision::Refuse { reason } => Err(reason.into()),
        Decision::Allow { route, host, path, .. } => Ok(Outgoing {
            gateway,
            equipped: running.equipped(route).ok_or(Refusal::Internal)?,
            target,
            host,
            path: judged(uri, &path)?,
            revision: running.revision,
        }),
    }
}

/// The path that was judged, and the query as sent.
fn judged(uri: &Uri, path: &NormalPath<'_>) -> Result<PathAndQuery, Refusal> {
    if let Some(sent) = uri.path_and_query()
        && sent.path() == path.as_str()
    {
        return Ok(sent.clone());
    }
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    };
    let malformed =
        |_| Refusal::Malformed("the request target cannot be written in its normal form".to_owned());
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(malformed)
}

impl Outgoing<'_> {
    /// Scan out: the head, and the body as far as it can be collected; nothing was dialled yet.
    async fn inspect(
        &mut self,
        parts: &mut Parts,
        mut body: Plain,
        call: &mut Call,
    ) -> Result<Outbound, Refusal> {
        if !self.gateway.scanner.looks_for_anything(self.equipped.scanning) {
            return Ok(Outbound::Plain(body));
        }
        let inspection = self.inspection(call);
        if let Some(exchange) = &mut call.exchange {
            exchange.watch(inspection.notes());
            body.keep(exchange.sent().filter(|_| self.equipped.scanning.is_on()));
        }
        let replaced = self.equipped.credential.as_ref().map(Credential::header);
        inspect_head(&inspection, parts, &mut self.path, replaced).await?;
        if body.is_end_stream() {
            return Ok(Outbound::Plain(body));
        }
        let judging = Judging::new(body, inspection, &parts.headers)?;
        Box::pin(judging.collect()).await.map(Outbound::Judged)
    }

    fn inspection(&self, call: &Call) -> Inspection {
        let scanner = Arc::clone(&self.gateway.scanner);
        Inspection::new(scanner, self.equipped.scanning, Arc::clone(&call.asked), self.revision)
    }

    /// Dial and forward. A rested connection may turn out to be closed; then the request, which did not leave, takes
    /// the next one.
    async fn send(&self, mut request: Request<Outbound>) -> Result<Response<Source>, Refusal> {
        let upstream = &self.equipped.upstream;
        let progress = request.body().progress();
        loop {
            let rested = upstream.rested(&self.host).await;
            let is_rested = rested.is_some();
            let line = match rested {
                Some(line) => line,
                // Boxed, as are other rare steps: every request would carry room for them.
                None => Box::pin(upstream.fresh(&self.host, self.dialer())).await?,
            };
            self.prepare(&mut request, line.speaks())?;
            match line.send(request, &progress, self.gateway.idle(), upstream.life()).await {
                Ok(response) => return Ok(response),
                Err(Unsent::Request(again)) if is_rested => request = *again,
                Err(Unsent::Request(_)) => return Err(self.failed("it hung up at once")),
                Err(Unsent::Error(error)) => return Err(self.broken(&error, &progress)),
                Err(Unsent::Silence) => return Err(self.silent()),
            }
        }
    }

    /// What makes a new connection, in the place of resting ones if need be.
    fn dialer(&self) -> &Dialer {
        if self.gateway.dialer.is_full() {
            self.gateway.live.current().upstreams().for_each(|upstream| upstream.forget());
        }
        &self.gateway.dialer
    }

    /// Writes the request for a connection that was verified for its route, credential included.
    fn prepare(&self, request: &mut Request<Outbound>, speaks: Speaks) -> Result<(), Refusal> {
        let is_chunked = !request.body().is_end_stream() && !request.headers().contains_key(CONTENT_LENGTH);
        let headers = request.headers_mut();
        match speaks {
            Speaks::Http1 => {
                if !self.is_named_by(headers) {
                    let authority =
                        HeaderValue::from_str(&self.authority()).map_err(|_| Refusal::Internal)?;
                    headers.insert(HOST, authority);
                }
                if is_chunked {
                    // hyper would drop the body of a GET otherwise.
                    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                *request.uri_mut() = Uri::from(self.path.clone());
                *request.version_mut() = Version::HTTP_11;
            }
            Speaks::Http2 => {
                headers.remove(HOST);
                headers.remove(CONNECTION);
                headers.remove(TRANSFER_ENCODING);
                let uri =
                    Uri::builder().scheme(self.target.scheme.as_str()).path_and_query(self.path.clone());
                let authority = Authority::from_maybe_shared(Bytes::from(self.authority()))
                    .map_err(|_| Refusal::Internal)?;
                *request.uri_mut() = uri.authority(authority).build().map_err(|_| Refusal::Internal)?;
                *request.version_mut() = Version::HTTP_2;
            }
        }
        if let Some(credential) = &self.equipped.credential {
            credential.inject(request.headers_mut());
        }
        Ok(())
    }

    /// Whether the agent wrote `Host` in the one form already, as most do.
    fn is_named_by(&self, headers: &HeaderMap) -> bool {
        let named = headers.get(HOST).and_then(|host| host.to_str().ok());
        named.is_some_and(|named| self.target.is_written(named))
    }

    fn authority(&self) -> String {
        let host = self.host.host().authority();
        if self.target.port == self.target.scheme.default_port() {
            host
        } else {
            format!("{host}:{}", self.target.port)
        }
    }

    /// Scan back, and hands an answer on as it comes.
    async fn deliver(&self, response: Response<Source>, call: &mut Call) -> Result<Response<Body>, Refusal> {
        let (mut parts, source) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.failed("it switched to another protocol unasked"));
        }
        let limit = self.gateway.limits.body_bytes;
        if announces_over(&parts.headers, limit).is_some() {
            return Err(self.failed("its answer is larger than the limit for bodies"));
        }
        strip(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let mut exchange = call.exchange.take().ok_or(Refusal::Internal)?;
        exchange.answered(parts.status.as_u16());
        let received = Received::new(source, exchange, limit, self.gateway.idle());
        let mut body = Box::new(Inbound { received, screening: None });
        let watch = self.equipped.watch;
        if watch.is_on()
            && let Err(refusal) = Box::pin(self.gateway.screen.admit(watch, &mut parts, &mut body)).await
        {
            call.exchange = Some(body.received.into_exchange());
            return Err(refusal);
        }
        body.received.show(&parts.headers);
        Ok(Response::from_parts(parts, Body::Stream(body)))
    }

    /// Asks the origin for a WebSocket, and answers the agent only then.
    async fn upgrade(
        &self,
        session: &Session,
        mut request: Request<Outbound>,
        agent: OnUpgrade,
        call: &mut Call,
    ) -> Result<Response<Body>, Refusal> {
        let upstream = &self.equipped.upstream;
        let dialled = self.dialer().dial(upstream.link(), &self.host, Offer::Http1).await?;
        self.prepare(&mut request, Speaks::Http1)?;
        as_websocket(request.headers_mut());
        offer_no_extension(request.headers_mut());
        let progress = request.body().progress();
        let asked = send_upgrade(dialled.stream, request, self.gateway.limits.header_bytes, upstream.life());
        let answer = self.within(&progress, asked).await?;
        let mut response = answer.map_err(|error| self.broken(&error, &progress))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.deliver(response.map(Source::Driven), call).await;
        }
        if !has_token(response.headers(), &UPGRADE, "websocket") {
            return Err(self.failed("it switched to another protocol than WebSocket"));
        }
        if has_extension(response.headers()) {
            return Err(self.failed("it uses a WebSocket extension, and none was offered"));
        }
        let origin = self.within(&progress, hyper::upgrade::on(&mut response)).await?;
        let origin = origin.map_err(|error| self.broken(&error, &progress))?;
        let (mut parts, _) = response.into_parts();
        let found = self.gateway.screen.admit_head(self.equipped.watch, &mut parts)?;
        let mut exchange = call.exchange.take().ok_or(Refusal::Internal)?;
        exchange.answered(parts.status.as_u16());
        found.into_iter().for_each(|found| exchange.note(found));
        exchange.show_answer(&parts.headers);
        let inspection = self.inspection(call).resumed(exchange.notes());
        exchange.watch(inspection.notes());
        let opened = Opened { origin, exchange, inspection, watch: self.equipped.watch };
        session.upgrade(agent, Kind::WebSocket(Box::new(opened)));
        strip(&mut parts.headers);
        as_websocket(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::empty()))
    }

    /// Waits as long as [`patiently`] does.
    async fn within<T>(&self, progress: &Progress, answer: impl Future<Output = T>) -> Result<T, Refusal> {
        let waited = patiently(&mut Timer::default(), self.gateway.idle(), progress, answer).await;
        waited.ok_or_else(|| self.silent())
    }

    fn silent(&self) -> Refusal {
        let seconds = self.gateway.limits.idle_seconds;
        Refusal::UpstreamTimeout { host: self.host.to_string(), seconds }
    }

    fn broken(&self, error: &hyper::Error, progress: &Progress) -> Refusal {
        if let Some(refusal) = progress.take_refusal() {
            return refusal;
        }
        match self.gateway.limits.body_bytes {
            Some(limit) if progress.is_too_large() => Refusal::BodyTooLarge(limit),
            _ if progress.is_broken() => Refusal::Framing(Flaw::BrokenBody),
            _ => self.failed(&base::error::chain(error)),
        }
    }

    fn failed(&self, cause: &str) -> Refusal {
        Refusal::Upstream { host: self.host.to_string(), cause: base::inert(cause, 300) }
    }
}

fn as_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}
