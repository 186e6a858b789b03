//! What an agent may ask for, and what becomes of a policy when it is granted (S2, invariant 6).
//!
//! A delta has, by its type, no credential, no detector setting, no address and no TLS setting: those come from the
//! route that it widens, or are the defaults of a new one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::check;
use crate::host::{Host, HostPattern};
use crate::problem::{KeyPath, Problems, Step};
use crate::route::{EgressPolicy, Match, PathKind, PathMatch, Route, Scheme};

/// Requests to one host that somebody wants allowed: these methods to these paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EgressDelta {
    /// A host name, or a wildcard, as in a [`Route`].
    pub host: String,
    /// `https` unless given.
    #[serde(default, skip_serializing_if = "Scheme::is_default")]
    pub scheme: Scheme,
    /// The port; the scheme's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The methods, in upper case; none given means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The paths; none given means every path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
}

impl EgressDelta {
    /// The route that allows this and nothing else.
    #[must_use]
    pub fn route(&self) -> Route {
        Route {
            host: self.host.clone(),
            scheme: self.scheme,
            port: self.port,
            auth: None,
            matches: self.entry().into_iter().collect(),
            dlp: None,
            git: None,
            tls: None,
            allow_private: Vec::new(),
            connect_to: None,
            mount: None,
            role: None,
        }
    }

    /// The match entry that it stands for; none when it asks for every request.
    #[must_use]
    pub fn entry(&self) -> Option<Match> {
        let entry = Match { paths: self.paths.clone(), methods: self.methods.clone(), headers: Vec::new() };
        (entry != Match::default()).then_some(entry)
    }
}

/// What granting a delta added to a policy: what has to go when the grant ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Added {
    /// Nothing: the policy allowed all of it already.
    Nothing,
    /// A match entry of a route that was there.
    Entry,
    /// A route.
    Route,
}

/// A policy with a delta granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The next policy, which is valid.
    pub policy: EgressPolicy,
    /// What was added for the delta.
    pub added: Added,
}

/// Checks what an agent asks for: it must be a route that an operator could have written, for one host.
///
/// # Errors
/// Everything that is wrong with it, at the delta's own keys.
pub fn check_delta(delta: &EgressDelta) -> Result<(), Problems> {
    let mut problems = Problems::default();
    if delta.host.contains('*') {
        let message = "name one host; only an operator's own route covers many";
        problems.push(&KeyPath::root().key("host"), message);
    }
    let alone = EgressPolicy { log: None, routes: vec![delta.route()] };
    for problem in check(&alone).err().into_iter().flatten() {
        problems.push(&own_key(&problem.at), problem.message);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// `routes[0].matches[0].paths[1]` is `paths[1]` of the delta.
fn own_key(at: &KeyPath) -> KeyPath {
    let inner = match at.steps() {
        [Step::Key(_), Step::Item(_), Step::Key(key), Step::Item(_), inner @ ..] if key == "matches" => inner,
        [Step::Key(_), Step::Item(_), inner @ ..] => inner,
        steps => steps,
    };
    inner.iter().fold(KeyPath::root(), |path, step| match step {
        Step::Key(key) => path.key(key),
        Step::Item(item) => path.item(*item),
    })
}

/// Grants a delta: the host's route is widened by one entry, or there is a new route with nothing but that entry. The
/// result allows what the policy allowed and what the delta names, nothing else, with the credential, the detectors
/// and every other setting that the host's requests had before.
///
/// # Errors
/// The delta is refused by [`check_delta`], or the result would be too large.
pub fn grant(policy: &EgressPolicy, delta: &EgressDelta) -> Result<Granted, Problems> {
    check_delta(delta)?;
    let mut next = policy.clone();
    let own = HostPattern::parse(&delta.host);
    if !next.routes.iter().any(|route| HostPattern::parse(&route.host) == own) {
        // A route for the very host would hide the wildcard that covers it until now.
        let covering = covering(policy, &delta.host)?;
        next.routes.extend(covering.into_iter().map(|route| Route { host: delta.host.clone(), ..route }));
    }
    let wanted = delta.route();
    let found = next.routes.iter_mut().find(|route| same_place(route, &wanted));
    let added = match found {
        Some(route) => widen(route, delta),
        None => {
            next.routes.push(wanted);
            Added::Route
        }
    };
    if added == Added::Nothing {
        return Ok(Granted { policy: policy.clone(), added });
    }
    check(&next)?;
    Ok(Granted { policy: next, added })
}

/// Takes back what [`grant`] has added for a delta. What others have added to the route since stays.
#[must_use]
pub fn revoke(policy: &EgressPolicy, delta: &EgressDelta, added: Added) -> EgressPolicy {
    let mut next = policy.clone();
    let wanted = delta.route();
    let Some(index) = next.routes.iter().position(|route| same_place(route, &wanted)) else { return next };
    let route = &mut next.routes[index];
    let is_whole = match added {
        Added::Nothing => return next,
        // Its one entry was no entry at all.
        Added::Route if delta.entry().is_none() => route.matches.is_empty(),
        Added::Route | Added::Entry => {
            let entry = entry_of(delta);
            let before = route.matches.len();
            route.matches.retain(|other| *other != entry);
            // A route without entries would allow everything.
            route.matches.is_empty() && before > 0
        }
    };
    if is_whole {
        next.routes.remove(index);
    }
    next
}

fn widen(route: &mut Route, delta: &EgressDelta) -> Added {
    let entry = entry_of(delta);
    if route.matches.is_empty() || route.matches.contains(&entry) {
        return Added::Nothing;
    }
    route.matches.push(entry);
    Added::Entry
}

/// The delta's entry; one that matches every path where it asks for every request.
fn entry_of(delta: &EgressDelta) -> Match {
    delta.entry().unwrap_or_else(|| {
        let every = PathMatch { kind: PathKind::Prefix, value: "/".to_owned() };
        Match { paths: vec![every], ..Match::default() }
    })
}

/// The routes that decide about a host which has none of its own.
fn covering(policy: &EgressPolicy, host: &str) -> Result<Vec<Route>, Problems> {
    let checked = check(policy)?;
    let Ok(host) = Host::parse(host) else { return Ok(Vec::new()) };
    Ok(checked.routes_for(&host).iter().map(|route| route.source().clone()).collect())
}

fn same_place(a: &Route, b: &Route) -> bool {
    (a.scheme, a.effective_port()) == (b.scheme, b.effective_port())
        && HostPattern::parse(&a.host) == HostPattern::parse(&b.host)
}

/// The policy with this route instead of the one at the same host, scheme and port, if there is one.
///
/// # Errors
/// The result is not valid.
pub fn put_route(policy: &EgressPolicy, route: Route) -> Result<EgressPolicy, Problems> {
    let mut next = policy.clone();
    match next.routes.iter_mut().find(|other| same_place(other, &route)) {
        Some(other) => *other = route,
        None => next.routes.push(route),
    }
    check(&next)?;
    Ok(next)
}
