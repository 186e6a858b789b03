//! One request, one decision. Pure: the same policy and request always give the same answer.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use crate::checked::{CheckedPolicy, CheckedRoute};
use crate::git;
use crate::host::Host;
use crate::path::NormalPath;
use crate::refusal::{EntryFailure, NoMatch, Refusal};
use crate::route::Scheme;

/// What is decided on: the one request that was built from whatever arrived.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// Whether it came inside TLS.
    pub scheme: Scheme,
    /// The host that CONNECT, SNI, `Host` and `:authority` agree on.
    pub host: &'a Host,
    /// The port it is for.
    pub port: u16,
    /// The method, as sent.
    pub method: &'a str,
    /// The path, as sent, without the query; `/` where the client sent none.
    pub path: &'a str,
    /// What follows the `?`, as sent.
    pub query: Option<&'a str>,
    /// The headers, as they will be sent on, but for what this program adds itself.
    pub headers: &'a HeaderMap,
}

/// A host that a route covers. Only a decision makes one, so that nothing else can be dialled by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedHost(Host);

impl AllowedHost {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0
    }

    /// The host as it is resolved.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Decision<'p, 'r> {
    /// It may go to its host.
    Allow {
        /// The route that allows it.
        route: &'p Arc<CheckedRoute>,
        /// The entry of the route's `matches`, counted from 0; none if the route has no entries.
        entry: Option<usize>,
        /// The host to dial.
        host: AllowedHost,
        /// The path that was judged, and so the one to send.
        path: NormalPath<'r>,
    },
    /// It goes nowhere.
    Refuse {
        /// Why.
        reason: Refusal,
    },
}

/// Judges one request (E1, E2, E7). Allocates nothing to allow a request whose path already has its normal form.
#[must_use]
pub fn decide<'p, 'r>(policy: &'p CheckedPolicy, request: &RequestView<'r>) -> Decision<'p, 'r> {
    match judge(policy, request) {
        Ok(allowed) => allowed,
        Err(reason) => Decision::Refuse { reason },
    }
}

fn judge<'p, 'r>(policy: &'p CheckedPolicy, request: &RequestView<'r>) -> Result<Decision<'p, 'r>, Refusal> {
    let (route, host) = admit(policy, request.scheme, request.host, request.port)?;
    let path = NormalPath::parse(request.path).map_err(Refusal::AmbiguousPath)?;
    git::admit(route, &path, request.method, request.query)?;
    if route.entries().is_empty() {
        return Ok(Decision::Allow { route, entry: None, host, path });
    }
    match route.entries().iter().position(|entry| entry.allows(&path, request.method, request.headers)) {
        Some(entry) => Ok(Decision::Allow { route, entry: Some(entry), host, path }),
        None => Err(Refusal::NoMatch(Box::new(no_match(route, &path, request)))),
    }
}

fn no_match(route: &CheckedRoute, path: &NormalPath<'_>, request: &RequestView<'_>) -> NoMatch {
    let entries = route.entries().iter().enumerate().map(|(entry, tests)| EntryFailure {
        entry,
        path: tests.path(path) == Some(false),
        method: tests.method(request.method) == Some(false),
        headers: tests.headers(request.headers) == Some(false),
        overriding: tests.overriding(request.headers).map(ToString::to_string),
        allows: route.source().matches.get(entry).cloned().unwrap_or_default(),
    });
    NoMatch {
        host: route.host().to_string(),
        method: base::inert(request.method, 40),
        path: base::inert(path.as_str(), 200),
        entries: entries.collect(),
    }
}

/// The first half of [`decide`], where only the destination is known: the route of a host, scheme and port.
///
/// # Errors
/// When no route leads there.
pub fn admit<'p>(
    policy: &'p CheckedPolicy,
    scheme: Scheme,
    host: &Host,
    port: u16,
) -> Result<(&'p Arc<CheckedRoute>, AllowedHost), Refusal> {
    let routes = policy.routes_for(host);
    if let Some(route) = routes.iter().find(|route| route.scheme() == scheme && route.port() == port) {
        return Ok((route, AllowedHost(host.clone())));
    }
    if routes.is_empty() {
        return Err(Refusal::UnlistedHost { host: host.clone() });
    }
    let ports: Vec<u16> =
        routes.iter().filter(|route| route.scheme() == scheme).map(|route| route.port()).collect();
    if ports.is_empty() {
        return Err(Refusal::WrongScheme { host: host.clone(), given: scheme });
    }
    Err(Refusal::WrongPort { host: host.clone(), given: port, allowed: ports })
}

/// Where a tunnel may lead whose content is not yet known to be TLS or plain HTTP. At least one is there.
#[derive(Clone, Debug)]
pub struct TunnelRoutes<'p> {
    /// The route for TLS.
    pub https: Option<&'p Arc<CheckedRoute>>,
    /// The route for plain HTTP.
    pub http: Option<&'p Arc<CheckedRoute>>,
}

/// Judges the target of a CONNECT: some route must lead to this host and port. Each request inside is still to be
/// judged by [`decide`].
///
/// # Errors
/// When no route leads there with any scheme.
pub fn admit_tunnel<'p>(
    policy: &'p CheckedPolicy,
    host: &Host,
    port: u16,
) -> Result<TunnelRoutes<'p>, Refusal> {
    let routes = policy.routes_for(host);
    let find = |scheme| routes.iter().find(|route| route.scheme() == scheme && route.port() == port);
    let found = TunnelRoutes { https: find(Scheme::Https), http: find(Scheme::Http) };
    if found.https.is_some() || found.http.is_some() {
        return Ok(found);
    }
    if routes.is_empty() {
        return Err(Refusal::UnlistedHost { host: host.clone() });
    }
    let allowed = routes.iter().map(|route| route.port()).collect();
    Err(Refusal::WrongPort { host: host.clone(), given: port, allowed })
}
