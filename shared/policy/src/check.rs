//! From what was written to what can be decided on: every rule of a policy, and every problem at once.

use std::collections::HashMap;

use crate::checked::{CheckedPolicy, CheckedRoute};
use crate::host::HostPattern;
use crate::limit;
use crate::problem::{KeyPath, Problems};
use crate::route::{EgressPolicy, Route, Scheme};

mod auth;
mod dlp;
mod matches;
mod network;

pub use dlp::{INBOUND_DETECTORS, OUTBOUND_DETECTORS};
pub use network::{HostPort, InvalidHostPort};

/// Names that mean the bottle's own sidecars inside it.
const RESERVED_HOSTS: [&str; 4] = ["_egress.local", "egress", "gitgate", "supervise"];

/// Checks a policy and compiles it.
///
/// # Errors
/// Everything that is wrong with it, each with its place and with what would be right.
pub fn check(policy: &EgressPolicy) -> Result<CheckedPolicy, Problems> {
    let mut problems = Problems::default();
    let root = KeyPath::root();
    if policy.log.is_some_and(|level| level > 2) {
        problems.push(
            &root.key("log"),
            "write 0 (nothing), 1 (decisions) or 2 (decisions with redacted content)",
        );
    }
    let at = root.key("routes");
    bounded(policy.routes.len(), limit::ROUTES, "routes", &at, &mut problems);
    let mut expressions = Expressions::default();
    let mut routes = Vec::with_capacity(policy.routes.len().min(limit::ROUTES));
    for (index, route) in policy.routes.iter().take(limit::ROUTES).enumerate() {
        routes.extend(check_route(route, index, &at.item(index), &mut expressions, &mut problems));
    }
    check_unique(&policy.routes, &at, &mut problems);
    if problems.is_empty() { Ok(CheckedPolicy::new(policy.clone(), routes)) } else { Err(problems) }
}

/// Counts the regular expressions of a whole policy.
#[derive(Default)]
struct Expressions(usize);

fn check_route(
    route: &Route,
    index: usize,
    at: &KeyPath,
    expressions: &mut Expressions,
    problems: &mut Problems,
) -> Option<CheckedRoute> {
    let host = check_host(&route.host, &at.key("host"), problems);
    if route.port == Some(0) {
        problems.push(
            &at.key("port"),
            format!("write a port from 1 to 65535, or leave it out for {}", { route.scheme.default_port() }),
        );
    }
    if route.role.is_some() {
        problems.push(&at.key("role"), "this key is reserved; leave it out");
    }
    let auth = route.auth.as_ref().map(|auth| auth::check_auth(auth, &at.key("auth"), problems));
    let entries = matches::check_matches(&route.matches, &at.key("matches"), expressions, problems);
    if let Some(dlp) = &route.dlp {
        dlp::check_dlp(dlp, &at.key("dlp"), problems);
    }
    network::check_tls(route, at, problems);
    network::check_ranges(&route.allow_private, &at.key("allow_private"), problems);
    let connect_to = network::check_connect_to(route.connect_to.as_deref(), &at.key("connect_to"), problems);
    check_mount(route, at, problems);
    Some(CheckedRoute {
        index,
        source: route.clone(),
        host: host?,
        auth: transpose(auth)?,
        entries,
        connect_to,
    })
}

/// `None` only where something was given and refused.
fn transpose<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    match checked {
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
        None => Some(None),
    }
}

fn check_host(text: &str, at: &KeyPath, problems: &mut Problems) -> Option<HostPattern> {
    match HostPattern::parse(text) {
        Ok(HostPattern::Exact(host)) if RESERVED_HOSTS.contains(&host.as_str()) => {
            problems.push(at, format!("{host} names a part of the bottle itself; no route can lead there"));
            None
        }
        Ok(host) => Some(host),
        Err(message) => {
            problems.push(at, message);
            None
        }
    }
}

fn check_mount(route: &Route, at: &KeyPath, problems: &mut Problems) {
    let Some(mount) = &route.mount else { return };
    let at = at.key("mount");
    matches::check_plain_path(mount, &at, problems);
    if mount.trim_end_matches('/').is_empty() {
        problems.push(&at, "a mount needs a name below the root, such as /forge");
    }
    if route.host.starts_with("*.") {
        problems.push(&at, "a mount leads to one host, and a wildcard covers many; write the host in full");
    }
}

/// Two routes for one (host, port, scheme), or two mounts at one path, would leave it open which one decides.
fn check_unique(routes: &[Route], at: &KeyPath, problems: &mut Problems) {
    let mut hosts: HashMap<(String, u16, Scheme), usize> = HashMap::new();
    let mut mounts: HashMap<&str, usize> = HashMap::new();
    for (index, route) in routes.iter().enumerate().take(limit::ROUTES) {
        let name =
            HostPattern::parse(&route.host).map_or_else(|_| route.host.clone(), |host| host.to_string());
        let first = *hosts.entry((name, route.effective_port(), route.scheme)).or_insert(index);
        if first != index {
            let message = format!("{at}[{first}] has the same host, port and scheme; merge the two");
            problems.push(&at.item(index).key("host"), message);
        }
        let Some(mount) = &route.mount else { continue };
        let first = *mounts.entry(mount.trim_end_matches('/')).or_insert(index);
        if first != index {
            let message = format!("{at}[{first}] is mounted here already; choose another path");
            problems.push(&at.item(index).key("mount"), message);
        }
    }
}

/// Notes a list that is too long.
fn bounded(length: usize, limit: usize, what: &str, at: &KeyPath, problems: &mut Problems) {
    if length > limit {
        problems.push(at, format!("{length} {what} are too many; at most {limit}"));
    }
}

/// Notes a text that is empty, too long or has control characters. Whether it is fine.
fn is_text(text: &str, at: &KeyPath, problems: &mut Problems) -> bool {
    let message = match text {
        "" => "this is empty",
        text if text.len() > limit::TEXT => "this is too long; at most 1024 bytes",
        text if text.contains(char::is_control) => "control characters are not accepted here",
        _ => return true,
    };
    problems.push(at, message);
    false
}

/// The candidate nearest to a text, if one is near: mostly the same letters, or one slip away.
#[must_use]
pub fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Hostile text is long; nobody mistypes a name into something that long.
    let text: String = text.chars().take(100).flat_map(char::to_lowercase).collect();
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let slip = candidate.len() > 2 && strsim::osa_distance(&text, &candidate) == 1;
        strsim::jaro_winkler(&text, &candidate).max(if slip { 0.8 } else { 0.0 })
    };
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
