//! Requests as spans (E17): what a collector gets of them, and what never.

use handover::sidecar::EgressLimits;
use serde_json::json;
use telemetry::collector::Collector;

use crate::agent::Http1;
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, canary, config, policy, route, token};

/// A proxy whose spans go to that collector, and the trace that they are part of.
async fn traced(origin: &Origin, collector: &Collector, more: serde_json::Value) -> (Proxy, bus::Trace) {
    let (spool, trace) = (tempfile::tempdir().unwrap(), bus::Trace::random());
    let config = config(origin, &[route(origin, more)], EgressLimits::default(), spool.path());
    let collector = Some(collector.endpoint());
    (Proxy::of(egress::Config { trace, collector, ..config }, spool).await, trace)
}

#[tokio::test]
async fn each_request_is_a_part_of_its_bottles_start() {
    let (origin, mut collector) = (Origin::start(Speaks::Tls).await, Collector::start().await);
    let (proxy, trace) = traced(&origin, &collector, json!({})).await;
    let mut agent = Http1::new(&proxy).await;
    assert_eq!(agent.get("/v1?q=1").await.0, 200);
    let sent = collector.next().await;
    assert_eq!((sent.service.as_str(), sent.text("name")), ("bot-bottle-egress", "egress.request"));
    assert_eq!((sent.text("traceId"), sent.text("parentSpanId")), (&*trace.id(), &*trace.span_id()));
    for (key, value) in [
        ("bot_bottle.bottle", json!("agent-abcde")),
        ("bot_bottle.outcome", json!("allowed")),
        ("bot_bottle.revision", json!("1")),
        ("http.request.method", json!("GET")),
        ("url.scheme", json!("https")),
        ("server.address", json!(HOST)),
        ("server.port", json!("443")),
        ("url.path", json!("/v1")),
        ("http.response.status_code", json!("200")),
        ("bot_bottle.unscanned", json!(false)),
    ] {
        assert_eq!(sent.attribute(key), value, "{key}");
    }
    assert_eq!(sent.span["status"], json!({}));

    proxy.policies.offer(2, &policy(&[])).unwrap();
    assert_eq!(agent.get("/v2").await.0, 403);
    let sent = collector.next().await;
    assert_eq!(
        (sent.attribute("bot_bottle.outcome"), sent.attribute("bot_bottle.rule")),
        ("blocked".into(), "unlisted-host".into())
    );
    assert_eq!(sent.attribute("http.response.status_code"), "403");
    assert_eq!(sent.span["status"]["code"], 2);
}

#[tokio::test]
async fn no_secret_of_a_request_is_told() {
    let (origin, mut collector) = (Origin::start(Speaks::Tls).await, Collector::start().await);
    for dlp in [json!({ "outbound_on_match": "block" }), json!({ "outbound_detectors": false })] {
        let auth = json!({ "scheme": "Bearer", "token_ref": "API_TOKEN" });
        let (proxy, _) = traced(&origin, &collector, json!({ "dlp": dlp, "auth": auth })).await;
        let mut agent = Http1::new(&proxy).await;
        for secret in [token(), canary()] {
            agent.get(&format!("/known/{secret}?key={secret}")).await;
            assert!(collector.next().await.attribute("url.path").as_str().unwrap().starts_with("/known/"));
        }
    }
    for secret in [token(), canary(), "Bearer".to_owned()] {
        assert!(!collector.everything().contains(&secret), "{}", collector.everything());
    }
}

#[tokio::test]
async fn a_collector_that_says_nothing_delays_no_request_and_no_record() {
    let origin = Origin::start(Speaks::Tls).await;
    // It accepts connections, as the kernel does for it, and nothing else.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (spool, url) = (tempfile::tempdir().unwrap(), format!("http://{}/", silent.local_addr().unwrap()));
    let config = config(&origin, &[route(&origin, json!({}))], EgressLimits::default(), spool.path());
    let collector = Some(url.parse().unwrap());
    let mut proxy = Proxy::of(egress::Config { collector, ..config }, spool).await;
    let mut agent = Http1::new(&proxy).await;
    for _ in 0..3 {
        assert_eq!(agent.get("/v1").await.0, 200);
        assert_eq!(proxy.allowed().await.len(), 1);
    }
    drop(silent);
}
