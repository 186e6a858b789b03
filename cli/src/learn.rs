//! From what a bottle's proxy refused to the smallest set of routes that would have let it through (E16), for a person
//! to review: the agent chose what it asked for. Pure.
//!
//! A route is proposed only for what a route decides: host, scheme, port, method, path, and fetching with git. Whatever
//! else was wrong with a request stays refused, and is listed apart with its reason.

mod observed;
mod paths;
mod request;

use std::collections::BTreeMap;

use policy::{CheckedPolicy, EgressPolicy, Git, Host, HostPattern, Match, Route, limit};
use serde::Serialize;

pub use observed::{Apart, Observed};
use request::Wanted;

/// What was learned. Serialises to what `egress learn --json` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Learned {
    /// The proposed routes, by host: all that the host would have, what the bottle has for it now included.
    pub hosts: Vec<LearnedHost>,
    /// What no route would let through, or what needs a decision that is not about a route.
    pub apart: Vec<Apart>,
}

/// The routes of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LearnedHost {
    /// The host.
    pub host: String,
    /// How many of the refused requests they would let through.
    pub requests: u64,
    /// What the bottle has for the host now. It is part of `routes`.
    pub standing: Standing,
    /// The routes.
    pub routes: Vec<Route>,
}

/// What a bottle has for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nothing: the routes are new.
    Nothing,
    /// Routes for exactly this host, in whose place the proposed ones would stand.
    Routes,
    /// Routes for a wildcard, which those for exactly this host would hide from it.
    Wildcard,
}

/// Proposes routes. `current` is what the bottle runs with: what it allows stays allowed.
#[must_use]
pub fn learn(observed: &Observed, current: &CheckedPolicy) -> Learned {
    let mut learned = Learned::default();
    let mut hosts: BTreeMap<Host, Vec<Wanted>> = BTreeMap::new();
    for (request, count) in observed.iter() {
        match request::wanted(request, count, current) {
            Ok(wanted) => hosts.entry(wanted.host.clone()).or_default().push(wanted),
            Err(reason) => learned.apart.push(request.apart(count, reason)),
        }
    }
    let mut room = limit::ROUTES.saturating_sub(current.routes().len());
    for (host, wanted) in hosts {
        let proposed = routes(&host, &wanted, current).and_then(|proposed| fitting(proposed, &mut room));
        match proposed {
            Ok(proposed) => learned.hosts.push(proposed),
            Err(reason) => learned.apart.extend(wanted.iter().map(|wanted| wanted.apart(&reason))),
        }
    }
    learned
}

/// All routes of a host: those that decide about it now, and what has to be added to them.
fn routes(host: &Host, wanted: &[Wanted], current: &CheckedPolicy) -> Result<LearnedHost, String> {
    let standing = current.routes_for(host);
    let kind = match standing.first().map(|route| route.host()) {
        None => Standing::Nothing,
        Some(HostPattern::Exact(_)) => Standing::Routes,
        Some(HostPattern::Below(_)) => Standing::Wildcard,
    };
    let name = host.to_string();
    let mut routes: Vec<Route> =
        standing.iter().map(|route| Route { host: name.clone(), ..route.source().clone() }).collect();
    let mut doors: BTreeMap<_, Vec<&Wanted>> = BTreeMap::new();
    for wanted in wanted {
        doors.entry((wanted.port, wanted.scheme.as_str())).or_default().push(wanted);
    }
    for wanted in doors.into_values() {
        let (scheme, port) = (wanted[0].scheme, wanted[0].port);
        let is_it = |route: &&mut Route| route.scheme == scheme && route.effective_port() == port;
        let fetches = wanted.iter().any(|wanted| wanted.fetches);
        let entries = entries(&wanted);
        match routes.iter_mut().find(is_it) {
            Some(route) => {
                // Without entries it allows every request already, and this one was about git.
                if !route.matches.is_empty() {
                    route.matches.extend(entries);
                }
                route.git = if fetches { Some(Git { fetch: true }) } else { route.git.take() };
            }
            None => routes.push(Route {
                git: fetches.then_some(Git { fetch: true }),
                matches: entries,
                ..request::bare_route(host, scheme, port)
            }),
        }
    }
    let policy = EgressPolicy { log: None, routes };
    policy::check(&policy).map_err(|problems| format!("no route can be made for it: {problems}"))?;
    let requests = wanted.iter().map(|wanted| wanted.count).sum();
    Ok(LearnedHost { host: name, requests, standing: kind, routes: policy.routes })
}

/// Takes room for the routes of a host out of what a policy has.
fn fitting(proposed: LearnedHost, room: &mut usize) -> Result<LearnedHost, String> {
    let needed = if proposed.standing == Standing::Routes { 0 } else { proposed.routes.len() };
    match room.checked_sub(needed) {
        Some(left) => {
            *room = left;
            Ok(proposed)
        }
        None => Err(format!("a bottle has at most {} routes, and these hosts are more", limit::ROUTES)),
    }
}

/// The entries for requests to one scheme and port: methods that were seen with the same paths stand together.
fn entries(wanted: &[&Wanted]) -> Vec<Match> {
    let mut by_method: BTreeMap<&str, paths::Paths> = BTreeMap::new();
    for wanted in wanted.iter().filter(|wanted| wanted.needs_entry) {
        by_method.entry(&wanted.method).or_default().add(wanted.path.as_str());
    }
    let mut entries: Vec<Match> = Vec::new();
    for (method, paths) in by_method {
        let paths = paths.tests();
        match entries.iter_mut().find(|entry| entry.paths == paths) {
            Some(entry) => entry.methods.push(method.to_owned()),
            None => {
                entries.push(Match { paths, methods: vec![method.to_owned()], headers: Vec::new() });
            }
        }
    }
    entries.into_iter().flat_map(in_bounds).collect()
}

/// An entry as several of which none has more paths than an entry may have.
fn in_bounds(entry: Match) -> impl Iterator<Item = Match> {
    let Match { paths, methods, headers } = entry;
    let chunks: Vec<_> = paths.chunks(limit::PATHS).map(<[_]>::to_vec).collect();
    chunks.into_iter().map(move |paths| Match { paths, methods: methods.clone(), headers: headers.clone() })
}

#[cfg(test)]
mod tests;
