//! A decision as data, for people who ask why (E16).

use serde::Serialize;

use crate::checked::CheckedPolicy;
use crate::decide::{Decision, RequestView, decide};
use crate::path::NormalPath;

/// What [`decide`] says about a request, and what it looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether the request may go.
    pub allowed: bool,
    /// The stable name of the rule that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The reason in words.
    pub reason: String,
    /// The path after normalisation, if it has one form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The route of this host, scheme and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteTrace>,
}

/// The route that decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteTrace {
    /// Its place in the policy, counted from 0.
    pub index: usize,
    /// Its host, as it is compared.
    pub host: String,
    /// Whether the proxy adds a credential.
    pub injects: bool,
    /// The entry that allows the request, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<usize>,
    /// How each entry of `matches` compares, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryTrace>,
}

/// How one entry compares with the request; absent where it does not test the dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryTrace {
    /// Whether one of its paths matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<bool>,
    /// Whether one of its methods matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<bool>,
    /// Whether all of its headers match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<bool>,
    /// The header for which it does not allow the request, since some servers take another method or path from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overriding: Option<String>,
}

/// Decides on a request and says how.
#[must_use]
pub fn explain(policy: &CheckedPolicy, request: &RequestView<'_>) -> Explanation {
    let path = NormalPath::parse(request.path).ok();
    let (rule, reason, entry) = match decide(policy, request) {
        Decision::Allow { route, entry, .. } => (None, allowed_because(route.host(), entry), entry),
        Decision::Refuse { reason } => (Some(reason.rule()), reason.to_string(), None),
    };
    let route =
        crate::admit(policy, request.scheme, request.host, request.port).ok().map(|(route, _)| RouteTrace {
            index: route.index(),
            host: route.host().to_string(),
            injects: route.auth().is_some(),
            entry,
            entries: path.as_ref().map_or_else(Vec::new, |path| {
                let trace = |tests: &crate::checked::Entry| EntryTrace {
                    path: tests.path(path),
                    method: tests.method(request.method),
                    headers: tests.headers(request.headers),
                    overriding: tests.overriding(request.headers).map(ToString::to_string),
                };
                route.entries().iter().map(trace).collect()
            }),
        });
    let path = path.map(|path| path.as_str().to_owned());
    Explanation { allowed: rule.is_none(), rule, reason, path, route }
}

fn allowed_because(host: &crate::HostPattern, entry: Option<usize>) -> String {
    match entry {
        Some(entry) => format!("entry {entry} of the route for {host} allows it"),
        None => format!("the route for {host} allows every request"),
    }
}
