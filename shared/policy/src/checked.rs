//! A policy that passed every check, compiled for deciding.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use crate::check::HostPort;
use crate::host::{Host, HostPattern};
use crate::path::NormalPath;
use crate::route::{AuthScheme, EgressPolicy, Route, Scheme};
use crate::token::TokenRef;

mod entry;
pub(crate) use entry::{Entry, HeaderTest, PathTest, ValueTest};

/// A policy in which nothing is wrong. Made by [`crate::check()`] only.
#[derive(Clone, Debug)]
pub struct CheckedPolicy {
    source: EgressPolicy,
    routes: Vec<Arc<CheckedRoute>>,
    exact: HashMap<Host, Vec<Arc<CheckedRoute>>>,
    below: HashMap<Box<str>, Vec<Arc<CheckedRoute>>>,
    mounts: Vec<Arc<CheckedRoute>>,
}

impl CheckedPolicy {
    pub(crate) fn new(source: EgressPolicy, routes: Vec<CheckedRoute>) -> Self {
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        let mut policy = Self {
            source,
            exact: HashMap::new(),
            below: HashMap::new(),
            mounts: Vec::new(),
            routes: Vec::new(),
        };
        for route in &routes {
            let routes_of_host = match route.host() {
                HostPattern::Exact(host) => policy.exact.entry(host.clone()).or_default(),
                HostPattern::Below(name) => policy.below.entry(name.as_str().into()).or_default(),
            };
            routes_of_host.push(Arc::clone(route));
            if route.mount().is_some() {
                policy.mounts.push(Arc::clone(route));
            }
        }
        policy.mounts.sort_by_key(|route| std::cmp::Reverse(route.mount().map_or(0, str::len)));
        policy.routes = routes;
        policy
    }

    /// The policy as it was written, to store and to send.
    #[must_use]
    pub fn source(&self) -> &EgressPolicy {
        &self.source
    }

    /// What to log of requests: 0 nothing (unless given), 1 decisions, 2 decisions with redacted content (E12).
    #[must_use]
    pub fn log(&self) -> u8 {
        self.source.log.unwrap_or(0)
    }

    /// Its routes, in the order in which they were written.
    #[must_use]
    pub fn routes(&self) -> &[Arc<CheckedRoute>] {
        &self.routes
    }

    /// The routes that decide about a host: those of the exact host if there are any, otherwise those of the
    /// longest wildcard above it; they differ in scheme and port. Empty if no route covers it.
    #[must_use]
    pub fn routes_for(&self, host: &Host) -> &[Arc<CheckedRoute>] {
        if let Some(routes) = self.exact.get(host) {
            return routes;
        }
        if !self.below.is_empty() {
            let mut rest = host.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(routes) = self.below.get(parent) {
                    return routes;
                }
                rest = parent;
            }
        }
        &[]
    }

    /// The route whose `mount` a path lies under (E5), the longest if several do, and the path that its host is
    /// asked for.
    #[must_use]
    pub fn mounted<'p>(&'p self, path: &'p NormalPath<'_>) -> Option<(&'p Arc<CheckedRoute>, &'p str)> {
        self.mounts.iter().find_map(|route| {
            let mount = route.mount()?.trim_end_matches('/');
            let rest = path.as_str().strip_prefix(mount)?;
            match rest {
                "" => Some((route, "/")),
                rest if rest.starts_with('/') => Some((route, rest)),
                _ => None,
            }
        })
    }
}

/// A route in which nothing is wrong, compiled.
#[derive(Clone, Debug)]
pub struct CheckedRoute {
    pub(crate) index: usize,
    pub(crate) source: Route,
    pub(crate) host: HostPattern,
    pub(crate) auth: Option<CheckedAuth>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) connect_to: Option<HostPort>,
}

impl CheckedRoute {
    /// Its place in the policy, counted from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The route as it was written.
    #[must_use]
    pub fn source(&self) -> &Route {
        &self.source
    }

    /// The hosts it covers.
    #[must_use]
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.source.scheme
    }

    /// The only port it allows.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.source.effective_port()
    }

    /// The credential to add.
    #[must_use]
    pub fn auth(&self) -> Option<&CheckedAuth> {
        self.auth.as_ref()
    }

    /// Whether the agent's own TLS goes through unseen.
    #[must_use]
    pub fn is_passthrough(&self) -> bool {
        self.source.tls.as_ref().is_some_and(|tls| tls.passthrough)
    }

    /// The `tls.ca` file as written, whose authorities replace the system's.
    #[must_use]
    pub fn authorities(&self) -> Option<&str> {
        self.source.tls.as_ref()?.ca.as_deref()
    }

    /// Whether git may clone and fetch here (E7).
    #[must_use]
    pub fn allows_fetch(&self) -> bool {
        self.source.git.as_ref().is_some_and(|git| git.fetch)
    }

    /// The private ranges that the host may resolve to.
    #[must_use]
    pub fn allow_private(&self) -> &[IpNet] {
        &self.source.allow_private
    }

    /// What to dial instead of the host.
    #[must_use]
    pub fn connect_to(&self) -> Option<&HostPort> {
        self.connect_to.as_ref()
    }

    /// The path under which it is reached without a proxy (E5).
    #[must_use]
    pub fn mount(&self) -> Option<&str> {
        self.source.mount.as_deref()
    }

    /// The headers whose value matters: those that its entries test, and the one that carries its credential.
    pub fn guarded_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let tested = self.entries.iter().flat_map(|entry| &entry.headers).map(|test| &test.name);
        tested.chain(self.auth.as_ref().map(|auth| &auth.header))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A credential to add (E4).
#[derive(Clone, Debug)]
pub struct CheckedAuth {
    /// How it is written.
    pub scheme: AuthScheme,
    /// The header it goes into; what the agent sent there is removed.
    pub header: HeaderName,
    /// Where the launcher finds it.
    pub token: TokenRef,
    /// The same as written in the policy.
    pub token_ref: String,
}
