//! What the proxy answers itself, and mounts.

use serde_json::{Value, json};

use crate::agent::{self, raw};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, route, token};

async fn get(proxy: &Proxy, target: &str, host: &str) -> (String, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(proxy, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

#[tokio::test]
async fn the_allowlist_is_the_live_policy_without_what_the_agent_must_not_know() {
    let origin = Origin::start(Speaks::Tls).await;
    let more = json!({ "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" }, "matches": [{ "methods": ["GET"] }] });
    let proxy = Proxy::with(&origin, &[route(&origin, more)]).await;
    let (status, body) = get(&proxy, "http://_egress.local/allowlist", "_egress.local").await;
    assert_eq!(status, "200");
    let shown: policy::EgressPolicy = serde_json::from_str(&body).unwrap();
    assert!(policy::check(&shown).is_ok());
    assert_eq!(
        serde_json::to_value(&shown).unwrap(),
        json!({
            "routes": [{ "host": HOST, "matches": [{ "methods": ["GET"] }] }]
        })
    );
    assert!(!body.contains("API_TOKEN") && !body.contains("127.0.0.1") && !body.contains(&token()));
}

#[tokio::test]
async fn it_explains_what_it_would_do() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let (status, body) = get(&proxy, "/health", "egress:9099").await;
    assert_eq!((status.as_str(), body.contains(r#""revision": 1"#)), ("200", true));
    let (_, body) =
        get(&proxy, "/explain?url=https%3A%2F%2Fapi.example.com%2Fv1&method=POST", "localhost:9099").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["allowed"], true, "{body}");
    let (_, body) = get(&proxy, "/explain?url=https://other.example.com/", "egress").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["rule"], "unlisted-host", "{body}");
    assert_eq!(get(&proxy, "/explain?url=nonsense", "egress").await.0, "400");
    assert_eq!(get(&proxy, "/other", "egress").await.0, "404");
    assert_eq!(agent::rule(&get(&proxy, "/", "api.example.com").await.1), "not-proxied");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_mount_is_the_same_door() {
    let origin = Origin::start(Speaks::Tls).await;
    let more = json!({
        "mount": "/api",
        "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" },
        "matches": [{ "paths": [{ "type": "prefix", "value": "/v1" }] }],
    });
    let proxy = Proxy::with(&origin, &[route(&origin, more)]).await;
    assert_eq!(
        get(&proxy, "/api/v1/x?y=1", "egress:9099").await,
        ("200".to_owned(), "hello from the origin".to_owned())
    );
    let seen = origin.last();
    assert_eq!(seen.target, "/v1/x?y=1");
    assert_eq!(seen.header("authorization").unwrap(), format!("Bearer {}", token()));
    let (status, body) = get(&proxy, "/api/admin", "egress:9099").await;
    assert_eq!((status.as_str(), agent::rule(&body).as_str()), ("403", "no-match"));
    assert_eq!(get(&proxy, "/api/v1/../admin", "egress:9099").await.0, "404");
    assert_eq!(get(&proxy, "/apiv1", "egress:9099").await.0, "404");
    assert_eq!(origin.seen().len(), 1);
}
