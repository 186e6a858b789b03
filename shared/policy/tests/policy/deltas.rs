use policy::{DeltaError, EgressPolicy, add_route, check, content_hash, public_view, remove_route};
use proptest::prelude::*;

use crate::raw;

const POLICY: &str = "
log: 1
routes:
  - host: api.example.com
    auth: {scheme: Bearer, token_ref: API_TOKEN}
    tls: {ca: /etc/ca.pem}
    connect_to: 10.0.0.1:443
    allow_private: [10.0.0.0/8]
    matches: [{methods: [GET]}]
  - host: '*.docs.example.com'
  - host: '*.docs.example.com'
    scheme: http
";

fn route(yaml: &str) -> policy::Route {
    serde_yaml::from_str(yaml).unwrap()
}

#[test]
fn a_route_is_added_once() {
    let policy = raw(POLICY);
    let more = add_route(&policy, route("host: new.example.com")).unwrap();
    assert_eq!(more.routes.len(), 4);
    assert_eq!(remove_route(&more, "NEW.example.com.").unwrap(), policy);
    for host in ["api.example.com", "API.example.com.", "'*.DOCS.example.com'"] {
        let refused = add_route(&policy, route(&format!("host: {host}")));
        assert!(matches!(refused, Err(DeltaError::Exists { .. })), "{host}: {refused:?}");
    }
    let refused = add_route(&policy, route("{host: 'x:1', role: any}")).unwrap_err();
    insta::assert_snapshot!(refused, @r#"routes[3].host: a port does not belong here; write `host: x` and `port: 1`; routes[3].role: this key is reserved; leave it out"#);
}

#[test]
fn a_host_is_removed_whole() {
    let policy = raw(POLICY);
    assert_eq!(remove_route(&policy, "*.docs.example.com").unwrap().routes.len(), 1);
    let refused = remove_route(&policy, "api.exampel.com").unwrap_err();
    insta::assert_snapshot!(refused, @r#"api.exampel.com has no route; did you mean api.example.com?"#);
}

#[test]
fn the_agent_sees_no_credential() {
    let view = public_view(&raw(POLICY));
    check(&view).unwrap();
    let text = serde_yaml::to_string(&view).unwrap();
    for hidden in ["TOKEN", "auth", "pem", "10.0.0", "token"] {
        assert!(!text.contains(hidden), "{text}");
    }
    assert_eq!(view.routes[0].matches, raw(POLICY).routes[0].matches);
    let tested = "routes: [{host: a.example, matches: [{headers: [{name: X-Team, value: blue}, \
                  {name: X-Key, type: regex, value: 'blu.'}]}]}]";
    let view = public_view(&raw(tested));
    check(&view).unwrap();
    assert!(!serde_yaml::to_string(&view).unwrap().contains("blu"));
    let passed = raw("routes: [{host: a.example, tls: {passthrough: true}}]");
    assert_eq!(public_view(&passed), passed);
    let unchecked = raw("routes: [{host: a.example, tls: {passthrough: true, ca: /ca.pem}}]");
    assert_eq!(public_view(&unchecked), passed);
}

#[test]
fn a_hash_names_the_content() {
    let policy = raw(POLICY);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(content_hash(&policy), content_hash(&serde_json::from_str(&json).unwrap()));
    assert_ne!(content_hash(&policy), content_hash(&public_view(&policy)));
    assert_eq!(
        content_hash(&EgressPolicy::default()),
        "18a08e2a6a64fe8f8b178453908493eec71b62c1250d47734466736c98c6431e"
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        Just("NO".to_owned()),
        Just("1.10".to_owned()),
        Just("null".to_owned())
    ]
}

fn arbitrary() -> impl Strategy<Value = EgressPolicy> {
    let matches = (text(), text(), text()).prop_map(|(path, method, value)| policy::Match {
        paths: vec![policy::PathMatch { kind: policy::PathKind::Regex, value: path }],
        methods: vec![method],
        headers: vec![policy::HeaderMatch { name: value.clone(), value, kind: policy::HeaderKind::Exact }],
    });
    let route =
        (text(), proptest::option::of(any::<u16>()), proptest::collection::vec(matches, 0..3), text());
    let route = route.prop_map(|(host, port, matches, token_ref)| policy::Route {
        port,
        matches,
        auth: Some(policy::Auth {
            scheme: policy::AuthScheme::Basic,
            header: None,
            token_ref: token_ref.clone(),
        }),
        dlp: Some(policy::Dlp {
            outbound_detectors: Some(policy::Detectors::Off(false)),
            inbound_detectors: Some(policy::Detectors::Named(vec![token_ref])),
            outbound_on_match: Some(policy::OnMatch::Redact),
        }),
        ..serde_yaml::from_str(&format!("host: {}", serde_json::to_string(&host).unwrap())).unwrap()
    });
    (proptest::option::of(0u8..3), proptest::collection::vec(route, 0..4))
        .prop_map(|(log, routes)| EgressPolicy { log, routes })
}

proptest! {
    #[test]
    fn file_to_value_to_file(policy in arbitrary()) {
        let yaml = serde_yaml::to_string(&policy).unwrap();
        let back: EgressPolicy = serde_yaml::from_str(&yaml).unwrap();
        prop_assert_eq!(&back, &policy);
        prop_assert_eq!(serde_yaml::to_string(&back).unwrap(), yaml);
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(&serde_json::from_str::<EgressPolicy>(&json).unwrap(), &policy);
    }

    #[test]
    fn checking_never_panics_and_its_problems_are_inert(policy in arbitrary()) {
        if let Err(problems) = check(&policy) {
            let text = problems.to_string();
            prop_assert!(!text.is_empty() && !text.contains(char::is_control));
        }
    }

    #[test]
    fn what_was_added_can_be_removed(name in "[a-z]{1,8}\\.test") {
        let policy = raw(POLICY);
        let more = add_route(&policy, route(&format!("host: {name}"))).unwrap();
        prop_assert_eq!(remove_route(&more, &name).unwrap(), policy);
    }
}
