//! The sidecar's own log of decisions (E12): by the policy's level, live, and never with a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::agent::{Http1, bytes, empty, full, limited, read};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, policy, route, token};

fn at_level(level: u8, routes: &[Value]) -> policy::EgressPolicy {
    policy::EgressPolicy { log: Some(level), ..policy(routes) }
}

/// The lines of the log, once the next records are out and so many lines are in it: a record does not wait long for its line.
async fn lines(proxy: &mut Proxy, count: usize) -> Vec<Value> {
    proxy.record().await;
    logged(proxy, count).await;
    proxy.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn logged(proxy: &Proxy, count: usize) {
    limited(async {
        while proxy.log().lines().count() < count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_level_says_how_much_and_follows_the_policy() {
    let origin = Origin::start(Speaks::Tls).await;
    let open = [route(&origin, json!({}))];
    let mut proxy = Proxy::to(&origin).await;
    let mut agent = Http1::new(&proxy).await;
    proxy.policies.offer(2, &at_level(0, &open)).unwrap();
    assert_eq!(agent.get("/one").await.0, 200);
    assert_eq!(lines(&mut proxy, 0).await, Vec::<Value>::new());

    proxy.policies.offer(3, &at_level(1, &open)).unwrap();
    assert_eq!(agent.get("/two?q=1").await.0, 200);
    let log = lines(&mut proxy, 1).await;
    let [line] = &log[..] else { panic!("{log:?}") };
    assert_eq!(
        (line["outcome"].as_str(), line["method"].as_str(), line["path"].as_str(), line["revision"].as_u64()),
        (Some("allowed"), Some("GET"), Some("/two"), Some(3))
    );
    assert!(line["request_headers"].is_null(), "{line}");

    proxy.policies.offer(4, &at_level(2, &open)).unwrap();
    let request =
        Request::post("/three").header("host", HOST).header("x-note", "words").header("cookie", "a=b");
    assert_eq!(read(agent.send(request.body(full("{\"a\": 1}")).unwrap()).await).await.0, 200);
    let line = lines(&mut proxy, 2).await.pop().unwrap();
    assert_eq!(line["request_body"], "{\"a\": 1}");
    assert_eq!(line["answer_body"], "hello from the origin");
    let headers = line["request_headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!("x-note: words")) && headers.contains(&json!("cookie: (removed)")),
        "{line}"
    );

    proxy.policies.offer(5, &at_level(1, &[])).unwrap();
    assert_eq!(agent.get("/four").await.0, 403);
    let line = lines(&mut proxy, 3).await.pop().unwrap();
    assert_eq!((line["outcome"].as_str(), line["rule"].as_str()), (Some("blocked"), Some("unlisted-host")));
}

#[tokio::test]
async fn no_surface_brings_a_secret_into_the_log() {
    let origin = Origin::start(Speaks::Tls).await;
    let dlp = |on_match: &str| json!({ "outbound_on_match": on_match });
    let auth = json!({ "scheme": "Bearer", "token_ref": "API_TOKEN" });
    let coded = STANDARD.encode(token());
    for (dlp, expected) in [
        (dlp("redact"), 200),
        (dlp("block"), 403),
        (json!({ "outbound_detectors": false, "inbound_detectors": false }), 200),
    ] {
        let routes = [route(&origin, json!({ "dlp": dlp, "auth": auth }))];
        let proxy = Proxy::to(&origin).await;
        proxy.policies.offer(2, &at_level(2, &routes)).unwrap();
        for value in [token(), coded.clone()] {
            let requests = [
                Request::post(format!("/v1?key={value}")).body(full("nothing")),
                Request::post("/v1").header("x-note", format!("is {value}")).body(full("nothing")),
                Request::post("/v1").body(bytes(format!("{{\"key\": \"{value}\"}}"))),
                Request::post("/v1").header("x-api-key", value.clone()).body(empty()),
                Request::post("/v1").header("authorization", format!("Bearer {value}")).body(empty()),
            ];
            for (number, mut request) in requests.map(Result::unwrap).into_iter().enumerate() {
                request.headers_mut().insert("host", HOST.parse().unwrap());
                let status = read(Http1::new(&proxy).await.send(request).await).await.0;
                let is_replaced = number == 4;
                assert_eq!(status, if is_replaced { 200 } else { expected }, "{dlp} {number}");
            }
        }
        logged(&proxy, 10).await;
        let log = proxy.log();
        assert_eq!(log.matches("\"request_headers\":[").count(), 10, "{log}");
        // A body is shown only where it was judged, and went on.
        let is_judged = dlp["outbound_on_match"] == "redact";
        assert_eq!(log.contains("\"request_body\":"), is_judged, "{log}");
        for value in [token(), coded.clone()] {
            assert!(!log.contains(&value), "{log}");
        }
    }
}
