use http::HeaderMap;
use policy::{
    Added, Decision, EgressDelta, EgressPolicy, Host, PathKind, PathMatch, RequestView, Scheme, check,
    check_delta, decide, difference, grant, put_route, revoke,
};
use proptest::prelude::*;

use crate::raw;

fn delta(yaml: &str) -> EgressDelta {
    serde_yaml::from_str(yaml).unwrap()
}

fn shown(old: &EgressPolicy, delta: &EgressDelta) -> String {
    let granted = grant(old, delta).unwrap();
    let back = revoke(&granted.policy, delta, granted.added);
    // What is left after a grant allows what was allowed before it.
    assert!(difference(old, &back).iter().all(|line| line.contains("new.example.com")), "{back:?}");
    format!("{:?}\n{}", granted.added, difference(old, &granted.policy).join("\n"))
}

#[test]
fn the_hosts_own_route_is_widened() {
    let policy = raw("routes: [{host: api.example.com, auth: {scheme: Bearer, token_ref: API}, dlp: \
                      {outbound_on_match: block}, matches: [{methods: [GET]}]}]");
    let wanted = delta("{host: API.example.com, methods: [POST], paths: [{type: prefix, value: /docs}]}");
    insta::assert_snapshot!(shown(&policy, &wanted), @r"
    Entry
    + https://api.example.com POST to /docs and below
    ");
    insta::assert_snapshot!(shown(&policy, &delta("{host: api.example.com}")), @r"
    Entry
    + https://api.example.com every method to every path
    ");
    let twice = grant(&grant(&policy, &wanted).unwrap().policy, &wanted).unwrap();
    assert_eq!(twice.added, Added::Nothing);
    insta::assert_snapshot!(shown(&policy, &delta("{host: api.example.com, scheme: http, port: 8080}")), @r"
    Route
    + http://api.example.com:8080 every request
    ");
    let open = raw("routes: [{host: api.example.com}]");
    assert_eq!(grant(&open, &wanted).unwrap().added, Added::Nothing);
}

#[test]
fn a_wildcard_goes_on_to_decide_about_its_host() {
    let policy = raw("routes: [{host: '*.example.com', auth: {scheme: Bearer, token_ref: API}, matches: \
                      [{methods: [GET]}]}, {host: '*.example.com', scheme: http, dlp: {outbound_on_match: block}}]");
    let wanted = delta("{host: new.example.com, methods: [POST]}");
    insta::assert_snapshot!(shown(&policy, &wanted), @r#"
    Entry
    + https://new.example.com auth {"scheme":"Bearer","token_ref":"API"}
    + https://new.example.com GET to every path
    + https://new.example.com POST to every path
    + http://new.example.com dlp {"outbound_on_match":"block"}
    + http://new.example.com every request
    "#);
}

#[test]
fn a_route_never_loses_its_last_entry() {
    let old = raw("routes: []");
    let [first, second] = ["GET", "PUT"].map(|m| delta(&format!("{{host: a.example, methods: [{m}]}}")));
    let one = grant(&old, &first).unwrap();
    let two = grant(&one.policy, &second).unwrap();
    assert_eq!((one.added, two.added), (Added::Route, Added::Entry));
    for (a, b) in [((&first, one.added), (&second, two.added)), ((&second, two.added), (&first, one.added))] {
        let left = revoke(&two.policy, a.0, a.1);
        assert_eq!(left.routes[0].matches.len(), 1);
        assert_eq!(revoke(&left, b.0, b.1), old);
    }
    let all = delta("{host: a.example}");
    let granted = grant(&old, &all).unwrap();
    assert_eq!(revoke(&granted.policy, &all, granted.added), old);
    // The route is another one by now.
    let other = raw("routes: [{host: a.example, matches: [{methods: [GET]}]}]");
    assert_eq!(revoke(&other, &all, granted.added), other);
}

#[test]
fn what_no_agent_may_ask_for_is_refused_at_its_own_key() {
    let problems = |yaml: &str| check_delta(&delta(yaml)).unwrap_err().to_string();
    insta::assert_snapshot!(problems("{host: '*.example.com'}"), @"host: name one host; only an operator's own route covers many");
    insta::assert_snapshot!(problems("{host: egress}"), @"host: egress names a part of the bottle itself; no route can lead there");
    insta::assert_snapshot!(problems("{host: a.example, methods: [get], paths: [{type: exact, value: /a}, {type: regex, value: '('}]}"), @"paths[1].value: this is no usable regular expression: unclosed group; methods[0]: methods are in upper case; write GET");
    for yaml in ["{host: a.example, auth: {scheme: Bearer, token_ref: API}}", "{host: a.example, dlp: {}}"] {
        assert!(serde_yaml::from_str::<EgressDelta>(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn an_operators_route_takes_the_place_of_the_old_one() {
    let policy = raw("routes: [{host: a.example, matches: [{methods: [GET]}]}, {host: b.example}]");
    let route = raw("routes: [{host: A.example, matches: [{methods: [PUT]}]}]").routes.remove(0);
    let next = put_route(&policy, route).unwrap();
    insta::assert_snapshot!(difference(&policy, &next).join("\n"), @r"
    - https://a.example GET to every path
    + https://A.example PUT to every path
    ");
    let wrong = raw("routes: [{host: 'a b'}]").routes.remove(0);
    assert!(put_route(&policy, wrong).is_err());
}

const HOSTS: [&str; 4] = ["a.example", "b.a.example", "c.b.a.example", "d.example"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const PATHS: [&str; 5] = ["/", "/x", "/x/y", "/xy", "/z"];

fn of<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn entry() -> impl Strategy<Value = String> {
    (prop::option::of(of(&METHODS)), of(&PATHS), of(&["prefix", "exact"])).prop_map(|(method, path, kind)| {
        let methods = method.map_or_else(String::new, |method| format!("methods: [{method}], "));
        format!("{{{methods}paths: [{{type: {kind}, value: {path}}}]}}")
    })
}

fn route() -> impl Strategy<Value = String> {
    let hosts = of(&["a.example", "'*.a.example'", "'*.b.a.example'", "b.a.example", "d.example"]);
    let entries = prop::collection::vec(entry(), 0..3);
    let settings = of(&["", "dlp: {outbound_on_match: block}, ", "auth: {scheme: Bearer, token_ref: API}, "]);
    (hosts, of(&["http", "https"]), settings, entries).prop_map(|(host, scheme, settings, entries)| {
        format!("{{host: {host}, scheme: {scheme}, {settings}matches: [{}]}}", entries.join(", "))
    })
}

fn policies() -> impl Strategy<Value = EgressPolicy> {
    prop::collection::vec(route(), 0..4)
        .prop_map(|routes| raw(&format!("routes: [{}]", routes.join(", "))))
        .prop_filter("valid", |policy| check(policy).is_ok())
}

fn deltas() -> impl Strategy<Value = EgressDelta> {
    let kinds = prop_oneof![Just(PathKind::Prefix), Just(PathKind::Exact)];
    let path = (kinds, of(&PATHS)).prop_map(|(kind, value)| PathMatch { kind, value: value.to_owned() });
    let scheme = prop_oneof![Just(Scheme::Https), Just(Scheme::Http)];
    let methods = prop::collection::vec(of(&METHODS).prop_map(str::to_owned), 0..2);
    (of(&HOSTS), scheme, methods, prop::collection::vec(path, 0..2)).prop_map(
        |(host, scheme, methods, paths)| EgressDelta {
            host: host.to_owned(),
            scheme,
            port: None,
            methods,
            paths,
        },
    )
}

/// What decides about each request that there can be: the route's settings, if it is allowed.
fn decisions(policy: &EgressPolicy) -> Vec<Option<(Option<policy::Auth>, Option<policy::Dlp>)>> {
    let (checked, headers) = (check(policy).unwrap(), HeaderMap::new());
    let mut decisions = Vec::new();
    for host in HOSTS {
        for scheme in [Scheme::Https, Scheme::Http] {
            for (method, path) in METHODS.iter().flat_map(|method| PATHS.map(|path| (*method, path))) {
                let host = Host::parse(host).unwrap();
                let port = scheme.default_port();
                let request =
                    RequestView { scheme, host: &host, port, method, path, query: None, headers: &headers };
                decisions.push(match decide(&checked, &request) {
                    Decision::Allow { route, .. } => {
                        Some((route.source().auth.clone(), route.source().dlp.clone()))
                    }
                    Decision::Refuse { .. } => None,
                });
            }
        }
    }
    decisions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_grant_allows_what_was_allowed_and_what_it_names_and_nothing_else(old in policies(), delta in deltas()) {
        let granted = grant(&old, &delta).unwrap();
        let alone = EgressPolicy { log: None, routes: vec![delta.route()] };
        let (before, after, named) = (decisions(&old), decisions(&granted.policy), decisions(&alone));
        for ((before, after), named) in before.iter().zip(&after).zip(&named) {
            prop_assert_eq!(after.is_some(), before.is_some() || named.is_some());
            // Credentials and detectors stay as they were.
            prop_assert!(before.is_none() || before == after);
        }
        let back = revoke(&granted.policy, &delta, granted.added);
        prop_assert!(check(&back).is_ok());
        prop_assert_eq!(decisions(&back), before);
    }
}
