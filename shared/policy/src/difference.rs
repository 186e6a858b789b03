//! What differs between two policies, for a person to read.

use std::fmt::Write as _;

use crate::route::{EgressPolicy, Match, PathKind, Route};

/// One line for each thing that only one of two policies says: `- ` before what is gone, `+ ` before what is new. All of
/// it is inert.
#[must_use]
pub fn difference(old: &EgressPolicy, new: &EgressPolicy) -> Vec<String> {
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

/// What a policy says, a line for each setting and each kind of request that is allowed.
fn lines(policy: &EgressPolicy) -> Vec<String> {
    let log = policy.log.map(|level| format!("log {level}"));
    log.into_iter().chain(policy.routes.iter().flat_map(of_route)).collect()
}

fn of_route(route: &Route) -> Vec<String> {
    let mut name = format!("{}://{}", route.scheme.as_str(), base::inert(&route.host, 255));
    if let Some(port) = route.port {
        // Writing to a String cannot fail.
        let _ = write!(name, ":{port}");
    }
    let mut lines = Vec::new();
    let bare = Route { matches: Vec::new(), host: String::new(), port: None, ..route.clone() };
    // A route holds only text, numbers, lists and maps with text keys, which always have a JSON form.
    let mut settings = serde_json::to_value(bare).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|key, _| key != "host" && key != "scheme");
        for (key, value) in settings {
            lines.push(format!("{name} {key} {}", base::inert(&value.to_string(), 500)));
        }
    }
    if route.matches.is_empty() {
        lines.push(format!("{name} every request"));
    }
    lines.extend(route.matches.iter().map(|entry| format!("{name} {}", of_entry(entry))));
    lines
}

/// A match entry in words: `GET, POST to /docs and below`.
#[must_use]
pub fn of_entry(entry: &Match) -> String {
    let methods = if entry.methods.is_empty() { "every method".to_owned() } else { entry.methods.join(", ") };
    let paths: Vec<_> = entry
        .paths
        .iter()
        .map(|path| match path.kind {
            PathKind::Prefix if path.value == "/" => "every path".to_owned(),
            PathKind::Prefix => format!("{} and below", path.value),
            PathKind::Exact => path.value.clone(),
            PathKind::Regex => format!("paths like {}", path.value),
        })
        .collect();
    let mut text = if paths.is_empty() {
        format!("{methods} to every path")
    } else {
        format!("{methods} to {}", paths.join(", "))
    };
    for header in &entry.headers {
        let _ = write!(text, " with {}: {}", header.name, header.value);
    }
    base::inert(&text, 2000)
}
