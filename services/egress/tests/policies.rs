//! Policies change while connections live on; what cannot be done is refused in words.

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use egress::Destination;
use handover::sidecar::EgressLimits;
use serde_json::{Value, json};

use crate::agent::{Http1, Http2, rule};
use crate::origin::{Origin, Speaks};
use crate::proxy::{Proxy, config, policy, route};

#[tokio::test]
async fn a_change_takes_hold_with_the_next_request_on_the_same_connection() {
    let origin = Origin::start(Speaks::Tls).await;
    let open = route(&origin, json!({}));
    let narrow = route(&origin, json!({ "matches": [{ "paths": [{ "type": "exact", "value": "/a" }] }] }));
    let proxy = Proxy::with(&origin, &[open]).await;
    let (mut one, mut two) = (Http1::new(&proxy).await, Http2::new(&proxy).await);
    assert_eq!((one.get("/b").await.0, two.get("/b").await.0), (200, 200));
    proxy.policies.offer(2, &policy(&[narrow])).unwrap();
    assert_eq!((one.get("/b").await.0, two.get("/b").await.0), (403, 403));
    assert_eq!((one.get("/a").await.0, two.get("/a").await.0), (200, 200));
    proxy.policies.offer(3, &policy(&[])).unwrap();
    assert_eq!((one.get("/a").await.0, two.get("/a").await.0), (403, 403));
    assert_eq!((proxy.policies.revision(), origin.connections()), (3, 1));
}

#[tokio::test]
async fn an_answer_in_progress_outlives_its_route() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut agent = Http1::new(&proxy).await;
    let request = http::Request::get("/events")
        .header("host", crate::origin::HOST)
        .body(crate::agent::empty())
        .unwrap();
    let response = agent.send(request).await;
    proxy.policies.offer(2, &policy(&[])).unwrap();
    for _ in 0..4 {
        origin.release_event();
    }
    assert_eq!(crate::agent::read(response).await.1, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

#[tokio::test]
async fn a_narrower_route_does_not_inherit_connections() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut agent = Http1::new(&proxy).await;
    assert_eq!(agent.get("/").await.0, 200);
    proxy.policies.offer(2, &policy(&[route(&origin, json!({ "allow_private": [] }))])).unwrap();
    assert_eq!(agent.get("/").await.0, 403);
}

#[tokio::test]
async fn the_operators_own_rules_are_used_and_bad_ones_are_named() {
    let origin = Origin::start(Speaks::Tls).await;
    let spool = tempfile::tempdir().unwrap();
    let dlp = json!({ "dlp": { "outbound_on_match": "block" } });
    let with = |rules: &str| {
        let config = config(&origin, &[route(&origin, dlp.clone())], EgressLimits::default(), spool.path());
        egress::Config { rules: Some(rules.to_owned()), ..config }
    };
    let own = "[[rules]]\nid = 'house'\nregex = 'house-[0-9]{6}'\nkeywords = ['house-']\n";
    let destination = || Destination::Channel(tokio::sync::mpsc::channel(1).0);
    let bad = own.replace("[0-9]", "[0-9");
    let refused = egress::build(with(&bad), destination(), Clock::System, &Lifecycle::new()).err().unwrap();
    let told = format!("{refused:#}");
    assert!(told.contains("rules.toml:1: rule `house`: `regex`: "), "{told}");

    let proxy = Proxy::of(with(own), tempfile::tempdir().unwrap()).await;
    let mut agent = Http1::new(&proxy).await;
    let (status, text) = agent.get("/v1?key=house-123456").await;
    assert_eq!((status, rule(&text).as_str()), (403, "secret"), "{text}");
    assert_eq!(agent.get("/v1?key=house-12").await.0, 200);
}

#[tokio::test]
async fn a_bad_or_old_revision_is_refused_and_the_running_one_stays() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let refuse =
        |revision, routes: &[Value]| proxy.policies.offer(revision, &policy(routes)).unwrap_err().to_string();
    let with = |more| [route(&origin, more)];
    insta::assert_snapshot!(refuse(1, &[]), @"revision 1 is not newer than revision 1, which runs");
    insta::assert_snapshot!(
        refuse(2, &with(json!({ "auth": { "scheme": "Bearer", "token_ref": "OTHER" } }))),
        @"routes[0].auth: the token OTHER was not handed over when the bottle was started"
    );
    insta::assert_snapshot!(
        refuse(2, &with(json!({ "tls": { "ca": "/other.pem" } }))),
        @"routes[0].tls.ca: /other.pem was not handed over when the bottle was started"
    );
    assert!(
        refuse(2, &[json!({ "host": "https://x" })]).starts_with("the policy is not valid: routes[0].host")
    );
    let off = json!({ "dlp": { "outbound_detectors": false, "inbound_detectors": false } });
    proxy.policies.offer(2, &policy(&with(off.clone()))).unwrap();
    // The supervisor may push again what runs.
    proxy.policies.offer(2, &policy(&with(off))).unwrap();
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
}
