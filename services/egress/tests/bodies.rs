//! Bodies: streamed, bounded, with their trailers.

use handover::sidecar::EgressLimits;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::agent::{self, Http1, Http2, limited, read, rule};
use crate::origin::{HOST, Origin, Speaks, stream_of};
use crate::proxy::{Proxy, route};

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let origin = Origin::start(Speaks::Tls).await;
    let limits = EgressLimits { body_bytes: Some(MIB), ..EgressLimits::default() };
    let mut proxy = Proxy::limited(&origin, &[route(&origin, json!({}))], limits).await;
    // Announced: refused before anything is read, and without inviting the body.
    let head =
        format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
    let answer = agent::raw_over(agent::tls_to_host(&proxy, "http/1.1").await, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!((origin.connections(), proxy.blocked().await.rule.as_str()), (0, "body-too-large"));
    // Not announced: refused on the way.
    let request = Request::post(format!("https://{HOST}/")).body(BodyExt::boxed(stream_of(32))).unwrap();
    let (status, text) = read(Http2::new(&proxy).await.send(request).await).await;
    assert_eq!((status, rule(&text).as_str()), (413, "body-too-large"));
    assert_eq!(proxy.blocked().await.rule, "body-too-large");
    // The same for answers.
    let request = Request::get("/big/2").header("host", HOST).body(agent::empty()).unwrap();
    let response = Http1::new(&proxy).await.send(request).await;
    assert!(limited(response.into_body().collect()).await.is_err());
    assert!(origin.seen().iter().all(|seen| seen.received <= MIB));
}

#[tokio::test]
async fn a_body_passes_whatever_its_method_and_framing() {
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let origin = Origin::start(speaks).await;
        let proxy = Proxy::to(&origin).await;
        for method in ["GET", "DELETE", "POST"] {
            let (mut one, mut two) = (Http1::new(&proxy).await, Http2::new(&proxy).await);
            let request = Request::builder().method(method);
            let chunked = request.uri("/").header("host", HOST).header("transfer-encoding", "chunked");
            let request = chunked.body(BodyExt::boxed(stream_of(2))).unwrap();
            assert_eq!((read(one.send(request).await).await.0, origin.last().received), (200, 128 * 1024));
            let request = Request::builder().method(method).uri(format!("https://{HOST}/"));
            let request = request.body(BodyExt::boxed(stream_of(2))).unwrap();
            assert_eq!((read(two.send(request).await).await.0, origin.last().received), (200, 128 * 1024));
        }
    }
}

#[tokio::test]
async fn a_body_is_invited_only_when_its_request_is_allowed() {
    let origin = Origin::start(Speaks::Tls).await;
    let matches = json!({ "matches": [{ "methods": ["POST"] }] });
    let proxy = Proxy::with(&origin, &[route(&origin, matches)]).await;
    for (method, first) in [("POST", "HTTP/1.1 100"), ("PUT", "HTTP/1.1 403")] {
        let mut stream = agent::tls_to_host(&proxy, "http/1.1").await;
        let head = format!(
            "{method} / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; first.len()];
        limited(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), first);
    }
}

#[tokio::test]
async fn trailers_pass_and_smuggle_nothing() {
    let origin = Origin::start(Speaks::Tls).await;
    let tested = json!({ "matches": [{ "headers": [{ "name": "X-Env", "value": "test" }] }] });
    let proxy = Proxy::with(&origin, &[route(&origin, tested)]).await;
    let mut trailers = HeaderMap::new();
    for (name, value) in [
        ("x-checksum", "1"),
        ("authorization", "Bearer mine"),
        ("host", "other.example.com"),
        ("x-env", "live"),
        ("x_env", "live"),
    ] {
        trailers.insert(name, value.parse().unwrap());
    }
    let frames = [Ok(http_body::Frame::data("x".into())), Ok(http_body::Frame::trailers(trailers))];
    let body = BodyExt::boxed(StreamBody::new(futures::stream::iter(frames)));
    let request = Request::post(format!("https://{HOST}/trailers"))
        .header("te", "trailers")
        .header("x-env", "test")
        .body(body)
        .unwrap();
    let response = Http2::new(&proxy).await.send(request).await;
    let trailers = limited(response.into_body().collect()).await.unwrap().trailers().cloned().unwrap();
    assert_eq!(trailers.keys().collect::<Vec<_>>(), ["grpc-status"]);
    let seen = origin.last();
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(seen.trailers.unwrap().keys().collect::<Vec<_>>(), ["x-checksum"]);
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_ended() {
    let origin = Origin::start(Speaks::TlsHttp1).await;
    let proxy = Proxy::to(&origin).await;
    let mut stream = agent::tls_to_host(&proxy, "http/1.1").await;
    let head = format!("POST /early HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\nabcdefgh");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    limited(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn early_answers_leave_no_connections_behind() {
    let origin = Origin::start(Speaks::Plain).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let open = watch::Sender::new(0);
    let mut origins = JoinSet::new();
    origins.spawn(answer_early(listener, open.clone()));
    let plain = route(&origin, json!({ "scheme": "http", "tls": null, "connect_to": to }));
    let proxy = Proxy::with(&origin, &[plain]).await;
    let mut agents = Vec::new();
    for _ in 0..5 {
        let mut agent = agent::dial(&proxy).await;
        let head = format!("POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n01234");
        agent.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        limited(agent.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 401");
        agent.write_all(b"56789").await.unwrap();
        agents.push(agent);
    }
    limited(open.subscribe().wait_for(|open| *open == 0)).await.unwrap();
}

/// Answers each connection as soon as its head is there, and then reads on until the other side closes.
async fn answer_early(listener: TcpListener, open: watch::Sender<usize>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        open.send_modify(|count| *count += 1);
        let open = open.clone();
        connections.spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            while stream.read_u8().await.is_ok() {}
            open.send_modify(|count| *count -= 1);
        });
    }
}

#[tokio::test]
async fn connections_to_origins_are_bounded_and_resting_ones_make_room() {
    let (origin, other) = (Origin::start(Speaks::TlsHttp1).await, Origin::start(Speaks::Plain).await);
    let limits = EgressLimits { connections: 1, handshake_seconds: 3, ..EgressLimits::default() };
    let plain = json!({ "host": "other.example.com", "scheme": "http", "tls": null });
    let proxy = Proxy::limited(&origin, &[route(&origin, json!({})), route(&other, plain)], limits).await;
    let mut agent = Http2::new(&proxy).await;
    let events = Request::get(format!("https://{HOST}/events")).body(agent::empty()).unwrap();
    let events = agent.send(events).await;
    let (status, text) = agent.get("/").await;
    assert_eq!((status, rule(&text).as_str(), origin.connections()), (503, "busy", 1));
    (0..4).for_each(|_| origin.release_event());
    assert_eq!(read(events).await.0, 200);
    assert_eq!(agent.get("/").await.0, 200);
    // That connection rests now.
    drop(agent);
    let request =
        "GET http://other.example.com/ HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n";
    let answer = agent::raw(&proxy, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
