use http::{HeaderMap, HeaderName, HeaderValue};
use policy::{CheckedPolicy, Decision, Host, RequestView, Scheme, decide, explain};
use proptest::prelude::*;

use crate::{checked, raw};

const POLICY: &str = r#"
routes:
  - host: api.example.com
    matches:
      - paths: [{type: prefix, value: /v1}]
        methods: [GET, HEAD]
      - paths: [{type: exact, value: /v1/messages}, {type: regex, value: "/v2/[a-z]+"}]
        methods: [POST]
        headers: [{name: X-Team, value: blue}, {name: content-type, type: regex, value: "application/(json|xml)"}]
  - host: "*.example.com"
  - host: "*.deep.example.com"
    scheme: http
    port: 8080
  - host: two.example.net
    matches: [{methods: [GET]}]
  - host: two.example.net
    scheme: http
    matches: [{methods: [POST]}]
  - host: "::1"
    port: 8443
  - host: "*.alt.example.org"
    port: 444
"#;

/// The decision about `METHOD URL [header: value]…` in short: the route and entry, or the rule.
fn judge(policy: &CheckedPolicy, request: &str) -> String {
    let mut words = request.split(" | ");
    let (method, url) = words.next().unwrap().split_once(' ').unwrap();
    let mut headers = HeaderMap::new();
    for header in words {
        let (name, value) = header.split_once(": ").unwrap();
        headers
            .append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) =
        match authority.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
            Some((host, port)) => (host, port.parse().unwrap()),
            None => (authority, scheme.default_port()),
        };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let host = Host::parse(host).unwrap();
    let view = RequestView { scheme, host: &host, port, method, path, query, headers: &headers };
    let said = explain(policy, &view);
    match decide(policy, &view) {
        Decision::Allow { route, entry, host: allowed, .. } => {
            assert!(said.allowed && allowed.as_str() == host.as_str());
            entry.map_or_else(|| route.host().to_string(), |entry| format!("{} {entry}", route.host()))
        }
        Decision::Refuse { reason } => {
            assert_eq!((said.rule, said.reason), (Some(reason.rule()), reason.to_string()));
            reason.rule().to_owned()
        }
    }
}

#[test]
fn routes_and_entries() {
    let policy = checked(POLICY);
    for (request, outcome) in [
        ("GET https://api.example.com/v1", "api.example.com 0"),
        ("GET https://API.EXAMPLE.com./v1/x?y=z", "api.example.com 0"),
        ("HEAD https://api.example.com/v1/x", "api.example.com 0"),
        ("get https://api.example.com/v1/x", "no-match"),
        ("GET https://api.example.com/v1x", "no-match"),
        ("GET https://api.example.com/", "no-match"),
        ("GET https://api.example.com/v1/../v2", "ambiguous-path"),
        ("GET https://api.example.com/v1/%2e%2e/v2", "ambiguous-path"),
        ("GET https://api.example.com/%76%31", "api.example.com 0"),
        ("POST https://api.example.com/v1/messages", "no-match"),
        ("POST https://api.example.com/v1/messages | X-Team: blue", "no-match"),
        (
            "POST https://api.example.com/v1/messages | X-Team: blue | Content-Type: application/json",
            "api.example.com 1",
        ),
        (
            "POST https://api.example.com/v2/abc | x-team: blue | Content-Type: application/xml",
            "api.example.com 1",
        ),
        // Expressions are anchored to the whole value.
        ("POST https://api.example.com/v2/abc/d | x-team: blue | content-type: application/xml", "no-match"),
        ("POST https://api.example.com/v2/abc | x-team: blue | content-type: application/xmlx", "no-match"),
        ("POST https://api.example.com/v2/abc | x-team: blue2 | content-type: application/xml", "no-match"),
        // Every line of a header counts.
        (
            "POST https://api.example.com/v2/abc | x-team: red | x-team: blue | content-type: application/xml",
            "no-match",
        ),
        (
            "POST https://api.example.com/v2/abc | x-team: blue | x-team: red | content-type: application/xml",
            "no-match",
        ),
        // An exact host beats a wildcard, a longer wildcard a shorter one, and there is no way back.
        ("GET https://www.example.com/anything", "*.example.com"),
        ("DELETE https://a.b.example.com/", "*.example.com"),
        ("GET https://example.com/", "unlisted-host"),
        ("GET https://notexample.com/", "unlisted-host"),
        ("GET http://x.deep.example.com:8080/", "*.deep.example.com"),
        ("GET https://x.deep.example.com/", "wrong-scheme"),
        ("GET https://deep.example.com/", "*.example.com"),
        ("GET http://api.example.com/v1", "wrong-scheme"),
        ("GET https://api.example.com:8443/v1", "wrong-port"),
        ("GET https://two.example.net/", "two.example.net 0"),
        ("GET http://two.example.net/", "no-match"),
        ("POST http://two.example.net/", "two.example.net 0"),
        ("GET http://two.example.net:443/", "wrong-port"),
        ("GET https://[::1]:8443/", "::1"),
        ("GET https://[::1]/", "wrong-port"),
        ("GET https://x.alt.example.org:444/", "*.alt.example.org"),
        ("GET https://192.0.2.1/", "unlisted-host"),
        ("GET https://api.example.com.evil.test/", "unlisted-host"),
    ] {
        assert_eq!(judge(&policy, request), outcome, "{request}");
    }
}

#[test]
fn a_header_that_changes_the_method_or_path_must_be_expected() {
    let policy = checked(
        r#"
routes:
  - host: get.example
    matches: [{methods: [GET]}]
  - host: below.example
    matches: [{paths: [{type: prefix, value: /v1}]}]
  - host: told.example
    matches:
      - {methods: [POST], headers: [{name: X-HTTP-Method-Override, value: PATCH}]}
  - host: team.example
    matches: [{headers: [{name: X-Team, value: blue}]}]
  - host: open.example
"#,
    );
    for name in [
        "X-HTTP-Method",
        "x-http-method-override",
        "X_HTTP-Method_Override",
        "X-Method-Override",
        "X-Original-URL",
        "X-Rewrite-Url",
        "X-Forwarded-Host",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
    ] {
        for host in ["get.example", "below.example"] {
            assert_eq!(judge(&policy, &format!("GET https://{host}/v1 | {name}: x")), "no-match", "{name}");
        }
        let other = format!("GET https://team.example/ | x-team: blue | {name}: x");
        assert_eq!(judge(&policy, &other), "team.example 0");
        assert_eq!(judge(&policy, &format!("GET https://open.example/ | {name}: x")), "open.example");
    }
    assert_eq!(judge(&policy, "GET https://get.example/ | x-forwarded-for: x"), "get.example 0");
    let told = "POST https://told.example/ | x-http-method-override: PATCH";
    assert_eq!(judge(&policy, told), "told.example 0");
    assert_eq!(judge(&policy, &format!("{told} | x-original-url: /x")), "no-match");
    assert_eq!(judge(&policy, "POST https://told.example/ | x-http-method-override: DELETE"), "no-match");

    let (host, headers) = (Host::parse("get.example").unwrap(), [("x-original-url", "/x")]);
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let view = RequestView {
        scheme: Scheme::Https,
        host: &host,
        port: 443,
        method: "GET",
        path: "/",
        query: None,
        headers: &headers.into_iter().collect(),
    };
    insta::assert_snapshot!(explain(&policy, &view).reason, @"the route for get.example does not allow GET /; entry 0 needs the request without x-original-url, which could change its method or path");
}

fn refusal(request: &str) -> String {
    let (method, url) = request.split_once(' ').unwrap();
    let (host, path) = url.split_once('/').unwrap();
    let (host, path, headers) = (Host::parse(host).unwrap(), format!("/{path}"), HeaderMap::new());
    let view = RequestView {
        scheme: Scheme::Https,
        host: &host,
        port: 443,
        method,
        path: &path,
        query: None,
        headers: &headers,
    };
    match decide(&checked(POLICY), &view) {
        Decision::Refuse { reason } => reason.to_string(),
        Decision::Allow { .. } => panic!("{request} is allowed"),
    }
}

#[test]
fn refusals_help() {
    let shown: Vec<String> = [
        "GET evil.test/",
        "GET x.deep.example.com/",
        "GET x.alt.example.org/",
        "GET api.example.com/a//b",
        "POST api.example.com/v3",
        "POST api.example.com/git-receive-pack",
        "POST api.example.com/r/info/lfs/objects/batch",
        "GET api.example.com/git-upload-pack",
        "G\u{1b}[2JT api.example.com/x",
    ]
    .map(refusal)
    .to_vec();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    no route of this bottle covers the host evil.test
    the routes for x.deep.example.com do not allow https; use http
    the routes for x.alt.example.org do not allow port 443; use port 444
    the path is ambiguous: it has an empty segment (//)
    the route for api.example.com does not allow POST /v3; entry 0 needs method GET or HEAD and path below /v1; entry 1 needs path /v1/messages or like /v2/[a-z]+ and its value of X-Team, content-type
    git does not push through this proxy; push to the repository's remote at http://gitgate:9420, where the git gate scans and forwards it
    git LFS requests other than reading an object do not pass this proxy, since they may upload; use the git gate at http://gitgate:9420
    the route for api.example.com has no `git: {fetch: true}`, so git can neither clone nor fetch over it
    the route for api.example.com does not allow G\u{1b}[2JT /x; entry 0 needs method GET or HEAD and path below /v1; entry 1 needs method POST and path /v1/messages or like /v2/[a-z]+ and its value of X-Team, content-type
    "#);
}

#[test]
fn an_explanation_is_data() {
    let policy = checked(POLICY);
    let host = Host::parse("api.example.com").unwrap();
    let headers = HeaderMap::new();
    let view = RequestView {
        scheme: Scheme::Https,
        host: &host,
        port: 443,
        method: "POST",
        path: "/v1/%6dessages",
        query: None,
        headers: &headers,
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&explain(&policy, &view)).unwrap(), @r#"
    {
      "allowed": false,
      "rule": "no-match",
      "reason": "the route for api.example.com does not allow POST /v1/messages; entry 0 needs method GET or HEAD; entry 1 needs its value of X-Team, content-type",
      "path": "/v1/messages",
      "route": {
        "index": 0,
        "host": "api.example.com",
        "injects": false,
        "entries": [
          {
            "path": true,
            "method": false
          },
          {
            "path": true,
            "method": true,
            "headers": false
          }
        ]
      }
    }
    "#);
}

#[test]
fn a_tunnel_leads_only_where_a_route_does() {
    let policy = checked(POLICY);
    let tunnel = |host: &str, port| {
        policy::admit_tunnel(&policy, &Host::parse(host).unwrap(), port)
            .map(|routes| (routes.https.is_some(), routes.http.is_some()))
            .map_err(|refusal| refusal.rule())
    };
    assert_eq!(tunnel("api.example.com", 443), Ok((true, false)));
    assert_eq!(tunnel("two.example.net", 80), Ok((false, true)));
    assert_eq!(tunnel("two.example.net", 22), Err("wrong-port"));
    assert_eq!(tunnel("example.com", 443), Err("unlisted-host"));
}

#[test]
fn a_mount_leads_to_its_host() {
    let policy = checked(
        "routes: [{host: a.example, mount: /forge}, {host: b.example, mount: /forge/api/}, {host: c.example}]",
    );
    let mounted = |path: &str| {
        let path = policy::NormalPath::parse(path).unwrap();
        policy.mounted(&path).map(|(route, rest)| format!("{} {rest}", route.host()))
    };
    assert_eq!(mounted("/forge").as_deref(), Some("a.example /"));
    assert_eq!(mounted("/forge/x").as_deref(), Some("a.example /x"));
    assert_eq!(mounted("/forge/api/x/").as_deref(), Some("b.example /x/"));
    assert_eq!(mounted("/forge/apix").as_deref(), Some("a.example /apix"));
    assert_eq!(mounted("/forgery"), None);
    assert_eq!(mounted("/"), None);
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]{1,2}", 1..4).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    (any::<bool>(), name()).prop_map(|(wild, name)| if wild { format!("*.{name}") } else { name })
}

/// A policy of several routes, as its text, with their hosts.
fn policy_of(hosts: &[String]) -> CheckedPolicy {
    let mut hosts = hosts.to_vec();
    hosts.sort();
    hosts.dedup();
    let routes: Vec<String> = hosts.iter().map(|host| format!("{{host: '{host}'}}")).collect();
    policy::check(&raw(&format!("routes: [{}]", routes.join(", ")))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_allowed_to_a_host_without_a_route(
        hosts in proptest::collection::vec(pattern(), 0..8),
        host in name(),
        method in "[A-Z]{1,7}",
        path in "/[!-~]{0,20}",
    ) {
        let policy = policy_of(&hosts);
        let covered = hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(name) => host.ends_with(&format!(".{name}")),
            None => *pattern == host,
        });
        let (host, headers) = (Host::parse(&host).unwrap(), HeaderMap::new());
        let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
        let view = RequestView { scheme: Scheme::Https, host: &host, port: 443, method: &method, path, query, headers: &headers };
        let allowed = |view: RequestView<'_>| matches!(decide(&policy, &view), Decision::Allow { .. });
        prop_assert!(covered || !allowed(view));
        let plain = RequestView { path: "/", method: "GET", query: None, ..view };
        prop_assert_eq!(allowed(plain), covered);
        let elsewhere = [
            RequestView { port: 444, ..plain },
            RequestView { scheme: Scheme::Http, port: 80, ..plain },
            RequestView { scheme: Scheme::Http, ..plain },
        ];
        prop_assert!(!elsewhere.into_iter().any(allowed), "another port or scheme never follows from a route");
    }

    #[test]
    fn the_narrowest_pattern_decides(hosts in proptest::collection::vec(pattern(), 1..8), host in name()) {
        let policy = policy_of(&hosts);
        let parsed = Host::parse(&host).unwrap();
        let expected = hosts
            .iter()
            .filter(|pattern| match pattern.strip_prefix("*.") {
                Some(name) => host.ends_with(&format!(".{name}")),
                None => **pattern == host,
            })
            .max_by_key(|pattern| (!pattern.starts_with('*'), pattern.len()));
        let decided = policy.routes_for(&parsed).first().map(|route| route.host().to_string());
        prop_assert_eq!(decided.as_ref(), expected);
    }
}
