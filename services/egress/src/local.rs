//! What the proxy answers itself (E8), and the paths under which it stands for a host (E5).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, Uri};
use percent_encoding::percent_decode_str;
use policy::{Explanation, Host, HostPattern, NormalPath, RequestView, Scheme, explain, public_view};

use crate::body::Body;
use crate::identify::{Target, path};
use crate::refusal::Refusal;
use crate::running::Running;

/// What a request to the proxy itself comes to.
pub(crate) enum Local {
    /// A page of the helper.
    Page(Response<Body>),
    /// A mount's host; the request was rewritten for it.
    Mounted(Target),
}

/// Answers a request to the proxy itself.
///
/// # Errors
/// [`Refusal::NoSuchPage`], [`Refusal::Method`], [`Refusal::Malformed`].
pub(crate) fn answer(running: &Running, parts: &mut Parts) -> Result<Local, Refusal> {
    let page = match path(parts) {
        "/health" => health(running),
        "/allowlist" => allowlist(running),
        "/explain" => explained(running, parts.uri.query().unwrap_or_default())?,
        _ => return mounted(running, parts).map(Local::Mounted).ok_or(Refusal::NoSuchPage),
    };
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(Refusal::Method(parts.method.as_str().to_owned()));
    }
    let mut response = Response::new(Body::text(format!("{page:#}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Local::Page(response))
}

fn health(running: &Running) -> serde_json::Value {
    serde_json::json!({ "status": "ok", "revision": running.revision })
}

fn allowlist(running: &Running) -> serde_json::Value {
    // A checked policy always serialises.
    serde_json::to_value(public_view(running.policy.source())).unwrap_or_default()
}

fn explained(running: &Running, query: &str) -> Result<serde_json::Value, Refusal> {
    let bad = |reason: String| {
        Refusal::Malformed(format!("{reason}; ask /explain?url=https://host/path&method=GET"))
    };
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
        found.and_then(|(_, value)| percent_decode_str(value).decode_utf8().ok())
    };
    let url = value("url").ok_or_else(|| bad("the url is missing".to_owned()))?;
    let method = value("method").unwrap_or("GET".into());
    let uri: Uri = url.parse().map_err(|_| bad("the url cannot be read".to_owned()))?;
    let scheme = match uri.scheme_str() {
        Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        _ => return Err(bad("the url needs https:// or http://".to_owned())),
    };
    let host = Host::parse(uri.host().unwrap_or_default()).map_err(|error| bad(error.to_string()))?;
    let explanation: Explanation = explain(
        &running.policy,
        &RequestView {
            scheme,
            host: &host,
            port: uri.port_u16().unwrap_or(scheme.default_port()),
            method: &method,
            path: uri.path(),
            query: uri.query(),
            headers: &HeaderMap::new(),
        },
    );
    Ok(serde_json::to_value(explanation).unwrap_or_default())
}

/// Rewrites a request to a mount into one to its host.
fn mounted(running: &Running, parts: &mut Parts) -> Option<Target> {
    let normal = NormalPath::parse(path(parts)).ok()?;
    let (route, rest) = running.policy.mounted(&normal)?;
    let HostPattern::Exact(host) = route.host() else { return None };
    let target = Target { scheme: route.scheme(), host: host.clone(), port: route.port() };
    let rest = match parts.uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    parts.uri = Uri::from(PathAndQuery::from_maybe_shared(Bytes::from(rest)).ok()?);
    parts.headers.remove(HOST);
    Some(target)
}
