//! WebSockets and event streams: untouched and unbuffered.

use futures::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::agent::{self, Http1, Http2, empty, limited, raw_over};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, route, token};

#[tokio::test]
async fn a_websocket_echoes_and_is_recorded_when_it_ends() {
    let origin = Origin::start(Speaks::Tls).await;
    let auth = json!({ "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let mut proxy = Proxy::with(&origin, &[route(&origin, auth)]).await;
    let stream = agent::tls_to_host(&proxy, "http/1.1").await;
    let (mut socket, response) =
        limited(Box::pin(tokio_tungstenite::client_async(format!("wss://{HOST}/ws"), stream))).await.unwrap();
    assert_eq!(response.status(), 101);
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(limited(socket.next()).await.unwrap().unwrap(), Message::text(text));
    }
    assert_eq!(origin.last().header("authorization").unwrap(), format!("Bearer {}", token()));
    socket.close(None).await.unwrap();
    drop(socket);
    let line = &proxy.allowed().await[0];
    assert_eq!((line.status, line.path.as_str()), (101, "/ws"));
    assert!(line.sent > 6 && line.received > 6, "{line:?}");
}

#[tokio::test]
async fn a_websocket_is_judged_like_any_request() {
    let origin = Origin::start(Speaks::Tls).await;
    let matches = json!({ "matches": [{ "paths": [{ "type": "exact", "value": "/other" }] }] });
    let proxy = Proxy::with(&origin, &[route(&origin, matches)]).await;
    let stream = agent::tls_to_host(&proxy, "http/1.1").await;
    let refused = tokio_tungstenite::client_async(format!("wss://{HOST}/ws"), stream).await;
    assert!(refused.unwrap_err().to_string().contains("403"));
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn the_agent_gets_101_only_after_the_origin_said_so() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let request = format!(
        "GET /plain HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello from the origin"), "{answer}");
}

#[tokio::test]
async fn an_event_passes_before_the_next_one_is_sent() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut one = Http1::new(&proxy).await;
    let request = Request::get("/events").header("host", HOST).body(empty()).unwrap();
    read_events(&origin, one.send(request).await).await;
    let mut two = Http2::new(&proxy).await;
    let request = Request::get(format!("https://{HOST}/events")).body(empty()).unwrap();
    read_events(&origin, two.send(request).await).await;
}

async fn read_events(origin: &Origin, response: http::Response<hyper::body::Incoming>) {
    let mut body = response.into_body();
    for count in 0..3 {
        origin.release_event();
        let frame = limited(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {count}\n\n"));
    }
    origin.release_event();
    assert!(limited(body.collect()).await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_no_answer() {
    let origin = Origin::start(Speaks::Plain).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let plain = route(&origin, json!({ "scheme": "http", "tls": null, "connect_to": to }));
    let proxy = Proxy::with(&origin, &[plain]).await;
    let request = format!("GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let switching = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        while stream.read_u8().await.unwrap() != b'\n' {}
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (answer, ()) = tokio::join!(agent::raw(&proxy, request.as_bytes()), limited(switching));
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains(r#""rule":"upstream""#), "{answer}");
}

#[tokio::test]
async fn a_request_for_an_upgrade_has_no_body() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\nbody"
    );
    let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("malformed"), "{answer}");
    assert_eq!(origin.connections(), 0);
}
