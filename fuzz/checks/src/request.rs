//! The one form of a request, and the decision about it (E1, E2, E7).

use std::sync::LazyLock;

use http::HeaderMap;
use policy::{
    AmbiguousPath, CheckedPolicy, Decision, EgressPolicy, Host, NormalPath, RequestView, Route, Scheme,
};

/// Entries of every kind, so that every kind of test is reached.
const POLICY: &str = r#"{"routes":[
  {"host":"a.example","matches":[
    {"paths":[{"type":"prefix","value":"/v1"}],"methods":["GET","HEAD"]},
    {"paths":[{"type":"exact","value":"/v2/messages"},{"type":"regex","value":"/v3/[a-z]+"}],"methods":["POST"]}]},
  {"host":"*.b.example","git":{"fetch":true}},
  {"host":"*.b.example","scheme":"http","port":8080,"matches":[{"methods":["GET"]}]},
  {"host":"open.example"}]}"#;

static CHECKED: LazyLock<CheckedPolicy> = LazyLock::new(|| {
    let policy: EgressPolicy = serde_json::from_str(POLICY).expect("it is JSON");
    policy::check(&policy).expect("nothing is wrong with it")
});

/// The parts of a request line, one a line: method, host, path, query.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(4, '\n');
    let (method, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (path, query) = (parts.next().unwrap_or_default(), parts.next());
    let normal = check_path(path);
    let Some(host) = check_host(host) else { return };
    for (scheme, port) in [(Scheme::Https, 443), (Scheme::Http, 8080)] {
        let headers = HeaderMap::new();
        let view = RequestView { scheme, host: &host, port, method, path, query, headers: &headers };
        let decision = policy::decide(&CHECKED, &view);
        check_decision(&view, &decision, normal.as_ref());
        let explained = policy::explain(&CHECKED, &view);
        assert_eq!(explained.allowed, matches!(decision, Decision::Allow { .. }), "explained as decided");
    }
}

/// A path has one form, that form has no other, and it holds nothing that servers read differently.
fn check_path(path: &str) -> Option<NormalPath<'_>> {
    let normal = NormalPath::parse(path).ok()?;
    let text = normal.as_str();
    let again = NormalPath::parse(text).map(|again| again.as_str() == text);
    assert_eq!(again, Ok(true), "{text:?} is not its own form");
    assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
    assert!(!text.contains(['\\', ';', '?', '#', ' ']) && !text.contains(|c: char| c.is_ascii_control()));
    assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "{text:?}");
    let lower = text.to_ascii_lowercase();
    for hidden in ["%2f", "%5c", "%2e", "%25", "%3b", "%00", "%0a", "%0d"] {
        assert!(!lower.contains(hidden), "{text:?} hides {hidden}");
    }
    // Encoding what need not be encoded changes nothing.
    let encoded: String =
        path.chars().map(|c| if c == 'a' { "%61".to_owned() } else { c.to_string() }).collect();
    match NormalPath::parse(&encoded) {
        Ok(other) => assert_eq!(other.as_str(), text),
        // `%a0` became `%%610`.
        Err(error) => assert!(path.contains('%') && error == AmbiguousPath::BadEscape, "{path:?}: {error}"),
    }
    Some(normal)
}

/// A host has one form, and that form has no other.
fn check_host(host: &str) -> Option<Host> {
    let host = Host::parse(host).ok()?;
    assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(&host));
    assert_eq!(Host::parse(&host.authority()).as_ref(), Ok(&host));
    assert!(!host.as_str().ends_with('.') && !host.as_str().contains(|c: char| c.is_ascii_uppercase()));
    Some(host)
}

/// What is allowed is what a route says, decided on the form that is sent.
fn check_decision(view: &RequestView<'_>, decision: &Decision<'_, '_>, normal: Option<&NormalPath<'_>>) {
    let Decision::Allow { route, entry, host, path } = decision else { return };
    assert_eq!(Some(path), normal, "another path was judged");
    assert_eq!(host.host(), view.host);
    assert!(route.host().covers(view.host) && route.scheme() == view.scheme && route.port() == view.port);
    let sent = RequestView { path: path.as_str(), ..*view };
    assert!(
        matches!(policy::decide(&CHECKED, &sent), Decision::Allow { .. }),
        "refused in the form it is sent in"
    );
    assert!(!path.as_str().to_ascii_lowercase().ends_with("/git-receive-pack"), "a push");
    if let Some(entry) = entry {
        let tests: &Route = route.source();
        let tests = &tests.matches[*entry];
        assert!(tests.methods.iter().any(|method| method == view.method));
        let is_inside =
            |prefix: &str| path.as_str() == prefix || path.as_str().starts_with(&format!("{prefix}/"));
        let is_listed = tests.paths.is_empty()
            || is_inside("/v1")
            || path.as_str() == "/v2/messages"
            || path
                .as_str()
                .strip_prefix("/v3/")
                .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(is_listed, "{path} is in no entry");
    }
}
