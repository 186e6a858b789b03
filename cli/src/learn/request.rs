//! Whether a route could let one refused request through.

use http::HeaderMap;
use policy::{
    CheckedPolicy, Decision, EgressPolicy, Host, Match, NormalPath, PathKind, PathMatch, Refusal,
    RequestView, Route, Scheme, limit,
};

use super::observed::{Apart, Request};

/// The rules that say no more than that no route allows the request.
const ABOUT_ROUTES: [&str; 5] = ["unlisted-host", "wrong-scheme", "wrong-port", "no-match", "git-fetch"];

/// A request that a route would let through.
pub(super) struct Wanted {
    pub(super) host: Host,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    pub(super) method: String,
    pub(super) path: NormalPath<'static>,
    /// Whether git clones or fetches.
    pub(super) fetches: bool,
    /// Whether no entry of the host's route matches it yet.
    pub(super) needs_entry: bool,
    pub(super) count: u64,
    request: Request,
}

impl Wanted {
    pub(super) fn apart(&self, reason: &str) -> Apart {
        self.request.apart(self.count, reason)
    }
}

/// Whether a route can be proposed for a request that came `count` times.
///
/// # Errors
/// Why none can.
pub(super) fn wanted(request: &Request, count: u64, current: &CheckedPolicy) -> Result<Wanted, String> {
    if !ABOUT_ROUTES.contains(&request.rule.as_str()) {
        return Err(request.reason.clone());
    }
    if request.method == "CONNECT" || request.method.is_empty() || request.path.is_empty() {
        return Err("only the connection was seen, and no request in it".to_owned());
    }
    // The record may have been cut before a character of up to four bytes.
    if request.path.len() > limit::TEXT - 4 {
        return Err("its path is too long to have been recorded whole".to_owned());
    }
    let host = Host::parse(&request.host).map_err(|error| error.to_string())?;
    let scheme = match request.scheme.as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err("it was neither https nor http".to_owned()),
    };
    let port = request.port.unwrap_or(scheme.default_port());
    let headers = HeaderMap::new();
    let view = RequestView {
        scheme,
        host: &host,
        port,
        method: &request.method,
        path: &request.path,
        query: None,
        headers: &headers,
    };
    let needs_entry = needs_entry(current, &view)?;
    let path = NormalPath::parse(&request.path).map_err(|error| format!("the path is ambiguous: {error}"))?;
    let fetches = needs_fetch(&view, &path)?;
    Ok(Wanted {
        scheme,
        port,
        method: request.method.clone(),
        path: path.into_owned(),
        fetches,
        needs_entry,
        count,
        request: request.clone(),
        host,
    })
}

/// Whether an entry has to be added for it. An error where one already matches method and path: then its headers are
/// what was refused, and they are not recorded.
fn needs_entry(current: &CheckedPolicy, view: &RequestView<'_>) -> Result<bool, String> {
    let explanation = policy::explain(current, view);
    let entries = explanation.route.as_ref().map_or(&[][..], |route| &route.entries);
    let is_matched = entries.iter().any(|entry| entry.path != Some(false) && entry.method != Some(false));
    if explanation.allowed || (is_matched && explanation.rule == Some("no-match")) {
        return Err(
            "the routes allow its method and path by now; if it is still refused, then for its headers: one \
                    that an entry demands, or one that could change its method or path"
                .to_owned(),
        );
    }
    Ok(!is_matched)
}

/// Whether the request is a fetch by git; an error if no route at all would let it through.
fn needs_fetch(view: &RequestView<'_>, path: &NormalPath<'_>) -> Result<bool, String> {
    let entry = Match {
        paths: vec![PathMatch { kind: PathKind::Exact, value: path.to_string() }],
        methods: vec![view.method.to_owned()],
        headers: Vec::new(),
    };
    let route = Route { matches: vec![entry], ..bare_route(view.host, view.scheme, view.port) };
    let policy = policy::check(&EgressPolicy { log: None, routes: vec![route] });
    let policy = policy.map_err(|problems| format!("no route can be made for it: {problems}"))?;
    match policy::decide(&policy, view) {
        Decision::Allow { .. } => Ok(false),
        Decision::Refuse { reason: Refusal::GitFetchNotAllowed { .. } } => Ok(true),
        Decision::Refuse { reason } => Err(reason.to_string()),
    }
}

/// A route with nothing but a destination.
pub(super) fn bare_route(host: &Host, scheme: Scheme, port: u16) -> Route {
    Route {
        host: host.to_string(),
        scheme,
        port: (port != scheme.default_port()).then_some(port),
        auth: None,
        matches: Vec::new(),
        dlp: None,
        git: None,
        tls: None,
        allow_private: Vec::new(),
        connect_to: None,
        mount: None,
        role: None,
    }
}
