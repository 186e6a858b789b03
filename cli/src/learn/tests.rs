use base::id::ExchangeId;
use bus::message::Version;
use bus::message::egress::Blocked;
use http::HeaderMap;
use policy::{CheckedPolicy, Decision, EgressPolicy, Host, RequestView, Route, Scheme};
use proptest::prelude::*;

use super::{Learned, Observed, learn};
use crate::commands::egress::learn::render;

fn blocked(rule: &str, method: &str, url: &str) -> Blocked {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().unwrap())),
        None => (authority, None),
    };
    Blocked {
        v: Version,
        bottle: "me-00000".parse().unwrap(),
        id: ExchangeId::random(),
        at: jiff::Timestamp::UNIX_EPOCH,
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        port,
        path: path.to_owned(),
        rule: rule.to_owned(),
        reason: format!("said by {rule}"),
        status: 403,
        revision: 1,
        found: None,
    }
}

fn policy(yaml: &str) -> CheckedPolicy {
    policy::check(&serde_yaml::from_str::<EgressPolicy>(yaml).unwrap()).unwrap()
}

fn proposed(current: &str, refusals: &[(&str, &str, &str)]) -> String {
    let observed = refusals.iter().map(|(rule, method, url)| blocked(rule, method, url)).collect();
    render(&learn(&observed, &policy(current))).unwrap()
}

#[test]
fn hosts_methods_and_paths_as_they_were_seen() {
    let refusals = [
        ("unlisted-host", "GET", "https://pypi.example/simple/a"),
        ("unlisted-host", "HEAD", "https://pypi.example/simple/a"),
        ("unlisted-host", "GET", "https://pypi.example/simple/a"),
        ("unlisted-host", "POST", "https://pypi.example/upload"),
        ("wrong-scheme", "GET", "http://plain.example:8080/"),
        ("unlisted-host", "GET", "https://files.example/a/1"),
        ("unlisted-host", "GET", "https://files.example/a/2"),
        ("unlisted-host", "GET", "https://files.example/a/3"),
        ("unlisted-host", "GET", "https://files.example/a/4"),
        ("unlisted-host", "GET", "https://files.example/a/5"),
        ("unlisted-host", "GET", "https://git.example/o/r.git/info/refs"),
    ];
    insta::assert_snapshot!(proposed("routes: []", &refusals), @r"
    # The agent chose what it asked for: allow only what you would have allowed before.
    egress:
      routes:
      # 5 requests
      - host: files.example
        matches:
        - paths:
          - type: prefix
            value: /a/
          methods:
          - GET
      # 1 request
      - host: git.example
        matches:
        - paths:
          - type: exact
            value: /o/r.git/info/refs
          methods:
          - GET
        git:
          fetch: true
      # 1 request
      - host: plain.example
        scheme: http
        port: 8080
        matches:
        - paths:
          - type: exact
            value: /
          methods:
          - GET
      # 4 requests
      - host: pypi.example
        matches:
        - paths:
          - type: exact
            value: /simple/a
          methods:
          - GET
          - HEAD
        - paths:
          - type: exact
            value: /upload
          methods:
          - POST
    ");
}

#[test]
fn what_a_bottle_has_stays() {
    let current = r#"
routes:
  - host: api.example.com
    auth: {scheme: Bearer, token_ref: API_TOKEN}
    matches: [{paths: [{type: prefix, value: /v1}], methods: [GET]}]
  - {host: "*.example.org", matches: [{methods: [GET]}]}
  - {host: "*.example.org", scheme: http, matches: [{methods: [GET]}]}
  - host: git.example.com
"#;
    let refusals = [
        ("no-match", "POST", "https://api.example.com/v1/me"),
        ("no-match", "POST", "https://a.example.org/x"),
        ("git-fetch", "GET", "https://git.example.com/o/r.git/info/refs"),
    ];
    insta::assert_snapshot!(proposed(current, &refusals), @r"
    # The agent chose what it asked for: allow only what you would have allowed before.
    egress:
      routes:
      # 1 request; with what the bottle's wildcard allows, which this hides
      - host: a.example.org
        matches:
        - methods:
          - GET
        - paths:
          - type: exact
            value: /x
          methods:
          - POST
      - host: a.example.org
        scheme: http
        matches:
        - methods:
          - GET
      # 1 request; in place of the routes that the bottle has for this host
      - host: api.example.com
        auth:
          scheme: Bearer
          token_ref: API_TOKEN
        matches:
        - paths:
          - type: prefix
            value: /v1
          methods:
          - GET
        - paths:
          - type: exact
            value: /v1/me
          methods:
          - POST
      # 1 request; in place of the routes that the bottle has for this host
      - host: git.example.com
        git:
          fetch: true
    ");
}

#[test]
fn what_no_route_lets_through_is_listed_with_its_reason() {
    let current = r#"
routes:
  - host: api.example.com
    matches: [{paths: [{type: prefix, value: /v1}], methods: [GET], headers: [{name: x-team, value: blue}]}]
"#;
    let refusals = [
        ("identity", "GET", "https://a.example/x"),
        ("bad-framing", "POST", "https://a.example/x"),
        ("canary", "POST", "https://a.example/x"),
        ("token-match", "POST", "https://a.example/x"),
        ("address", "GET", "http://inner.example/"),
        ("ambiguous-path", "GET", "https://a.example/a/../b"),
        ("unlisted-host", "GET", "https://a.example/a%2fb"),
        ("unlisted-host", "POST", "https://git.example/o/r.git/git-receive-pack"),
        ("unlisted-host", "POST", "https://git.example/o/r.git/info/lfs/objects/batch"),
        ("no-match", "GET", "https://api.example.com/v1/me"),
        ("unlisted-host", "get", "https://a.example/x"),
        ("unlisted-host", "GET", "https://egress/x"),
        ("unlisted-host", "GET", "https://not a host/x"),
        ("wrong-port", "CONNECT", "https://a.example:22"),
        ("unlisted-host", "GET", "https://a.example/\u{1b}[2J\n- host: evil.example"),
    ];
    insta::assert_snapshot!(proposed(current, &refusals), @r"
    # No route is proposed for:
    #   GET https://a.example/\u{1b}[2J\n- host: evil.example
    #     1 request refused by unlisted-host: the path is ambiguous: it has a control character, a plain space or an encoded one of the former
    #   GET https://a.example/a%2fb
    #     1 request refused by unlisted-host: the path is ambiguous: it has an encoded slash (%2F)
    #   GET https://a.example/a/../b
    #     1 request refused by ambiguous-path: said by ambiguous-path
    #   GET https://a.example/x
    #     1 request refused by identity: said by identity
    #   POST https://a.example/x
    #     1 request refused by bad-framing: said by bad-framing
    #   POST https://a.example/x
    #     1 request refused by canary: said by canary
    #   POST https://a.example/x
    #     1 request refused by token-match: said by token-match
    #   get https://a.example/x
    #     1 request refused by unlisted-host: no route can be made for it: routes[0].matches[0].methods[0]: methods are in upper case; write GET
    #   CONNECT https://a.example:22
    #     1 request refused by wrong-port: only the connection was seen, and no request in it
    #   GET https://api.example.com/v1/me
    #     1 request refused by no-match: the routes allow its method and path by now; if it is still refused, then for its headers: one that an entry demands, or one that could change its method or path
    #   GET https://egress/x
    #     1 request refused by unlisted-host: no route can be made for it: routes[0].host: egress names a part of the bottle itself; no route can lead there
    #   POST https://git.example/o/r.git/git-receive-pack
    #     1 request refused by unlisted-host: git does not push through this proxy; push to the repository's remote at http://gitgate:9420, where the git gate scans and forwards it
    #   POST https://git.example/o/r.git/info/lfs/objects/batch
    #     1 request refused by unlisted-host: git LFS requests other than reading an object do not pass this proxy, since they may upload; use the git gate at http://gitgate:9420
    #   GET http://inner.example/
    #     1 request refused by address: said by address
    #   GET https://not a host/x
    #     1 request refused by unlisted-host: not a host is not a host name: labels of letters, digits, hyphens and underscores, joined by single dots
    ");
}

#[test]
fn a_path_that_may_have_been_cut_is_no_route() {
    let of = |length: usize| {
        let url = format!("https://a.example/{}", "x".repeat(length - 1));
        learn(&[blocked("unlisted-host", "GET", &url)].into_iter().collect(), &policy("routes: []"))
    };
    assert_eq!((of(1020).hosts.len(), of(1020).apart.len()), (1, 0));
    assert_eq!(of(1021).apart[0].reason, "its path is too long to have been recorded whole");
}

#[test]
fn more_kinds_than_can_be_told_apart_are_counted() {
    let refusals = (0..20_003).map(|n| blocked("unlisted-host", "GET", &format!("https://a.example/{n}")));
    let observed: Observed = refusals.collect();
    assert_eq!(observed.passed_over(), 3);
    // More paths than entries can list, at the root of a host.
    let learned = learn(&observed, &policy("routes: []"));
    assert_eq!((learned.hosts.len(), learned.apart.len()), (0, 20_000));
}

#[test]
fn more_hosts_than_a_bottle_can_have_are_left_out() {
    let observed: Observed =
        (0..600).map(|n| blocked("unlisted-host", "GET", &format!("https://h{n}.example/"))).collect();
    let learned = learn(&observed, &policy("routes: [{host: a.example}]"));
    assert_eq!((learned.hosts.len(), learned.apart.len()), (511, 89));
}

/// What a bottle's file with the proposed routes in place of those of the same hosts allows.
fn applied(learned: &Learned, current: &CheckedPolicy) -> CheckedPolicy {
    let text = format!("---\n{}\n---\n", render(learned).unwrap());
    let name = "learned".parse().unwrap();
    let bottle = manifest::parse_bottle(name, std::path::Path::new("learned.md"), &text).unwrap();
    let mut routes: Vec<Route> = bottle.file.egress.unwrap_or_default().routes;
    for route in routes.iter().map(|route| serde_json::to_string(route).unwrap()) {
        serde_yaml::from_str::<Route>(&route).expect("`routes add` takes each of them");
    }
    let is_kept = |route: &&Route| learned.hosts.iter().all(|host| host.host != route.host);
    routes.extend(current.source().routes.iter().filter(is_kept).cloned());
    policy::check(&EgressPolicy { log: None, routes }).unwrap()
}

fn is_allowed(policy: &CheckedPolicy, blocked: &Blocked, method: &str, path: &str) -> bool {
    let headers = HeaderMap::new();
    let scheme = if blocked.scheme == "https" { Scheme::Https } else { Scheme::Http };
    let view = RequestView {
        scheme,
        host: &Host::parse(&blocked.host).unwrap(),
        port: blocked.port.unwrap_or(scheme.default_port()),
        method,
        path,
        query: None,
        headers: &headers,
    };
    matches!(policy::decide(policy, &view), Decision::Allow { .. })
}

fn refusal() -> impl Strategy<Value = Blocked> {
    let host = prop::sample::select(vec!["a.example", "b.example", "x.w.example", "192.0.2.1"]);
    let method = prop::sample::select(vec!["GET", "POST", "DELETE"]);
    let scheme = prop::sample::select(vec!["https", "http", "https://:8443"]);
    let segment = prop_oneof!["[a-d]", "[0-9]{1,3}", "[-._~!$&'()*+,=:@a-z]{1,6}", "(%20|%c3%a4|%7e)x"];
    (host, method, scheme, prop::collection::vec(segment, 0..4)).prop_map(
        |(host, method, scheme, segments)| {
            let (scheme, port) = scheme.split_once("://").unwrap_or((scheme, ""));
            blocked("unlisted-host", method, &format!("{scheme}://{host}{port}/{}", segments.join("/")))
        },
    )
}

const CURRENT: &str = r#"
routes:
  - {host: b.example, matches: [{paths: [{type: prefix, value: /a}], methods: [GET]}]}
  - {host: "*.w.example", matches: [{paths: [{type: prefix, value: /b}], methods: [POST]}]}
  - {host: "*.w.example", scheme: http}
"#;

proptest! {
    #[test]
    fn every_refused_request_passes_then_and_its_neighbours_do_not(
        refusals in prop::collection::vec(refusal(), 1..30),
        stands in any::<bool>(),
    ) {
        let current = policy(if stands { CURRENT } else { "routes: []" });
        let learned = learn(&refusals.iter().cloned().collect(), &current);
        let next = applied(&learned, &current);
        let is_apart = |blocked: &Blocked| {
            let url = format!("{}{}", blocked.host, blocked.port.map_or(String::new(), |port| format!(":{port}")));
            let url = format!("{}://{url}{}", blocked.scheme, blocked.path);
            learned.apart.iter().any(|apart| apart.url == url && apart.method == blocked.method)
        };
        for blocked in &refusals {
            let Blocked { method, path, .. } = blocked;
            prop_assert!(is_apart(blocked) || is_allowed(&next, blocked, method, path), "{:?}", blocked);
            // Nobody asked for these.
            for (method, path) in [("PATCH", path.clone()), (method, format!("{path}-neighbour")), (method, "/never/asked-for".into())] {
                prop_assert_eq!(
                    is_allowed(&next, blocked, method, &path),
                    is_allowed(&current, blocked, method, &path) || is_below_many(&refusals, blocked, &path, method),
                    "{} {}", method, path
                );
            }
        }
    }
}

/// Whether so many siblings of a path were asked for that their parent was taken.
fn is_below_many(refusals: &[Blocked], like: &Blocked, path: &str, method: &str) -> bool {
    let is_alike = |other: &&Blocked| {
        (&other.host, &other.scheme, other.port, &*other.method)
            == (&like.host, &like.scheme, like.port, method)
    };
    let normal =
        |path: &str| policy::NormalPath::parse(path).map(|path| path.to_string()).unwrap_or_default();
    let seen: Vec<String> = refusals.iter().filter(is_alike).map(|other| normal(&other.path)).collect();
    let path = normal(path);
    path.match_indices('/').skip(1).any(|(at, _)| {
        let parent = &path[..=at];
        let names: std::collections::BTreeSet<_> =
            seen.iter().filter_map(|seen| seen.strip_prefix(parent)?.split('/').next()).collect();
        names.len() > super::paths::FEW
    })
}
