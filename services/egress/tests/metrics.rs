//! What the proxy counts (E17), as it is read from its socket.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use egress::Parcel;
use handover::sidecar::EgressLimits;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::agent::{Http1, bytes, limited, read};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, config, policy, route, token};

/// What a reader gets for a request line.
async fn page(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream
        .write_all(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    text
}

/// A proxy that counts, and where.
async fn counting(origin: &Origin, more: serde_json::Value) -> (Proxy, tempfile::TempDir) {
    let (spool, sockets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(origin, &[route(origin, more)], EgressLimits::default(), spool.path());
    let metrics = Some(sockets.path().join("metrics.sock"));
    (Proxy::of(egress::Config { metrics, ..config }, spool).await, sockets)
}

#[tokio::test]
async fn the_counts_are_read_over_the_socket() {
    let origin = Origin::start(Speaks::Tls).await;
    let (mut proxy, sockets) = counting(&origin, json!({ "dlp": { "outbound_on_match": "redact" } })).await;
    let socket = sockets.path().join("metrics.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let mut agent = Http1::new(&proxy).await;
    assert_eq!(agent.get("/v1").await.0, 200);
    let leak = Request::post("/v1").header("host", HOST).body(bytes(format!("it is {}.", token()))).unwrap();
    assert_eq!(read(agent.send(leak).await).await.0, 200);
    proxy.policies.offer(2, &policy(&[])).unwrap();
    proxy.policies.offer(1, &policy(&[])).unwrap_err();
    assert_eq!(agent.get(&format!("/secret-path/{}", token())).await.0, 403);
    // The lines of what was allowed are sent by the second, before the refusal or after it.
    let (mut allowed, mut refused) = (0, false);
    while allowed < 2 || !refused {
        match proxy.parcel().await {
            Parcel::Blocked(_) => refused = true,
            Parcel::Log(log) => allowed += log.lines.len(),
        }
    }

    let text = page(&socket, "GET /metrics").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("# EOF\n"), "{text}");
    for line in [
        r#"requests_total{outcome="allowed"} 1"#,
        r#"requests_total{outcome="redacted"} 1"#,
        r#"requests_total{outcome="blocked"} 1"#,
        r#"refusals_total{rule="unlisted-host"} 1"#,
        r#"findings_total{detector="known_secrets",surface="body",outcome="redacted"} 1"#,
        r#"scan_seconds_count{part="body"}"#,
        "connections_total 1",
        "open_connections 1",
        "sent_bytes_total 28",
        "received_bytes_total 42",
        "request_seconds_count 2",
        "held_questions 0",
        "queued_records 0",
        "spooled_bytes 0",
        "records_full 0",
        "policy_revision 2",
        "refused_policies_total 1",
    ] {
        assert!(text.contains(&format!("\nbot_bottle_egress_{line}")), "{line} is not in {text}");
    }
    for word in [HOST, "secret-path", "API_TOKEN", token().as_str()] {
        assert!(!text.contains(word), "{word} is in {text}");
    }
    assert!(page(&socket, "GET /").await.starts_with("HTTP/1.1 404 "));
    assert!(page(&socket, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn the_agent_does_not_get_them() {
    let origin = Origin::start(Speaks::Tls).await;
    let (proxy, _sockets) = counting(&origin, json!({})).await;
    let mut stream = crate::agent::dial(&proxy).await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: egress:9099\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 400 ") || text.starts_with("HTTP/1.1 404 "), "{text}");
    assert!(!text.contains("bot_bottle_egress_"), "{text}");
}

#[tokio::test]
async fn a_socket_that_was_left_is_replaced_and_a_bad_place_is_named() {
    let origin = Origin::start(Speaks::Tls).await;
    let (first, sockets) = counting(&origin, json!({})).await;
    let socket = sockets.path().join("metrics.sock");
    let spool = tempfile::tempdir().unwrap();
    let with = |path: &Path| {
        let config = config(&origin, &[], EgressLimits::default(), spool.path());
        egress::Config { metrics: Some(path.to_owned()), ..config }
    };
    let _second = Proxy::of(with(&socket), tempfile::tempdir().unwrap()).await;
    assert!(page(&socket, "GET /metrics").await.contains("connections_total 0"));
    drop(first);
    let destination = egress::Destination::Channel(tokio::sync::mpsc::channel(1).0);
    let life = base::lifecycle::Lifecycle::new();
    let bad = with(Path::new("/nowhere/metrics.sock"));
    let refused = egress::build(bad, destination, base::clock::Clock::System, &life).err().unwrap();
    let told = format!("{refused:#}");
    assert!(told.starts_with("preparing the metrics: making the socket /nowhere/metrics.sock: "), "{told}");
}
