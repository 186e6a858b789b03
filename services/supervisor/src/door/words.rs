//! Policies and answers in an agent's words. Pure; everything is inert.

use bus::message::proposal::{Edited, Scope};
use policy::{EgressDelta, EgressPolicy, PathKind, PathMatch, public_view};

const SHOWN: usize = 1000;

/// `GET, POST to https://api.example.com/docs and below`
pub(super) fn delta(delta: &EgressDelta) -> String {
    let methods = match delta.methods.as_slice() {
        [] => "every method".to_owned(),
        methods => methods.join(", "),
    };
    let port = delta.port.map(|port| format!(":{port}")).unwrap_or_default();
    let paths = match delta.paths.as_slice() {
        [] => ", every path".to_owned(),
        [PathMatch { kind: PathKind::Exact, value }] => value.clone(),
        [PathMatch { kind: PathKind::Prefix, value }] => format!("{value} and below"),
        paths => format!(", paths {}", paths.iter().map(path).collect::<Vec<_>>().join(" or ")),
    };
    base::inert(&format!("{methods} to {}://{}{port}{paths}", delta.scheme.as_str(), delta.host), SHOWN)
}

fn path(path: &PathMatch) -> String {
    match path.kind {
        PathKind::Exact => path.value.clone(),
        PathKind::Prefix => format!("{} and below", path.value),
        PathKind::Regex => format!("like {}", path.value),
    }
}

/// What an operator has granted instead: of a route, only what the agent may know.
pub(super) fn edited(edited: &Edited) -> String {
    match edited {
        Edited::Dockerfile { .. } => "another Dockerfile".to_owned(),
        Edited::Delta { delta: granted } => delta(granted),
        Edited::Route { route } => {
            let policy = EgressPolicy { log: None, routes: vec![(**route).clone()] };
            let route = public_view(&policy).routes.pop();
            // A route always serialises.
            let route = serde_json::to_string(&route).unwrap_or_default();
            base::inert(&format!("the route {route}"), SHOWN)
        }
    }
}

/// For how long an approval holds.
pub(super) fn scope(scope: Option<Scope>) -> &'static str {
    match scope {
        Some(Scope::Once) => "once: the next request that needs it, within ten minutes",
        Some(Scope::Bottle) | None => "until this bottle ends",
        Some(Scope::Keep) => "for this bottle and later ones",
    }
}
