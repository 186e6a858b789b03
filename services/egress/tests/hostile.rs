//! Bytes that no honest client sends. Each gets a refusal, none reaches the origin, and the proxy lives on.

use handover::sidecar::EgressLimits;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::agent::{self, Http1, Http2, Via, first_answer, limited, raw, raw_over};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, route};

#[tokio::test]
async fn broken_http1_gets_a_refusal_inside_and_outside_of_a_tunnel() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let long = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", "a: b\r\n".repeat(200));
    let post = |headers: &str| format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n0\r\n\r\n");
    for (request, statuses) in [
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), &[400][..]),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), &[400]),
        (post("Content-Length: 5\r\nContent-Length: 5\r\n"), &[400]),
        (post("Content-Length: 5\r\nContent-Length: 6\r\n"), &[400]),
        (post("Content-Length: -1\r\n"), &[400]),
        (post("Content-Length: 0x5\r\n"), &[400]),
        (post("Transfer-Encoding: gzip, chunked\r\n"), &[400]),
        (post("Transfer-Encoding: xchunked\r\n"), &[400]),
        (post("Transfer-Encoding : chunked\r\n"), &[400]),
        (post("X: a\r\n b\r\n"), &[400]),
        (post("X: a\nY: b\r\n"), &[400]),
        (post("X Y: a\r\n"), &[400]),
        (post("X: a\0b\r\n"), &[400]),
        (post(": a\r\n"), &[400]),
        (post("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"), &[403]),
        (post("Expect: the-unexpected\r\n"), &[417]),
        ("GET /\r\n\r\n".to_owned(), &[400]),
        ("GET / HTTP/0.9\r\n\r\n".to_owned(), &[400]),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), &[400]),
        ("\u{16}\u{3}\u{1}\u{0}\u{5}hello\r\n\r\n".to_owned(), &[400]),
        (format!("GET / HTTP/1.1 \r\nHost: {HOST}\r\n\r\n"), &[400]),
        (format!("GET  / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), &[400]),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), &[400, 403]),
        (long, &[431]),
        (many, &[431]),
    ] {
        for place in ["outside", "inside"] {
            let answer = match place {
                "outside" => {
                    let request = request.replace("POST /", &format!("POST http://{HOST}/"));
                    first_answer(agent::dial(&proxy).await, request.as_bytes()).await
                }
                _ => first_answer(agent::tls_to_host(&proxy, "http/1.1").await, request.as_bytes()).await,
            };
            // At the front only the framing is looked at first; what it asks for may be refused otherwise.
            let status = answer.get(9..12).and_then(|status| status.parse::<u16>().ok());
            let outside = [statuses, &[400, 403]].concat();
            let statuses = if place == "outside" { &outside } else { statuses };
            assert!(status.is_some_and(|status| statuses.contains(&status)), "{place} {request:?}: {answer}");
        }
    }
    // HTTP/2 comes by ALPN or not at all; there is no answer that its client could read.
    let answer =
        raw_over(agent::tls_to_host(&proxy, "http/1.1").await, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(answer, "");
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
}

#[tokio::test]
async fn a_smuggled_request_is_never_seen_as_one() {
    let origin = Origin::start(Speaks::TlsHttp1).await;
    let matches = json!({ "matches": [{ "paths": [{ "type": "exact", "value": "/open" }] }] });
    let mut proxy = Proxy::with(&origin, &[route(&origin, matches)]).await;
    let hidden = format!("GET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let fine = format!("GET /open HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let both = format!(
        "{fine}POST /open HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
         0\r\n\r\n{hidden}"
    );
    let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, both.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""rule":"bad-framing""#), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
    assert_eq!(proxy.blocked().await.rule, "bad-framing");

    // Lines that end without CR do not lead the watch astray.
    let astray = format!(
        "POST /open HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: a\n\n\
         POST / HTTP/1.1\nContent-Length: 10000\n\r\n\r\n\
         POST /open HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
    );
    let seen = origin.seen().len();
    let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, astray.as_bytes()).await;
    assert!(origin.seen().len() <= seen + 1 && answer.matches("HTTP/1.1 200").count() <= 1, "{answer}");

    // Announced as a body, it stays a body.
    let body = format!(
        "POST /open HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{hidden}",
        hidden.len()
    );
    raw_over(agent::tls_to_host(&proxy, "http/1.1").await, body.as_bytes()).await;
    assert_eq!(origin.last().received, hidden.len() as u64);
    assert!(origin.seen().iter().all(|seen| seen.target == "/open"));
}

#[tokio::test]
async fn a_length_that_is_given_twice_is_refused_over_http2_too() {
    let origin = Origin::start(Speaks::TlsHttp1).await;
    let proxy = Proxy::to(&origin).await;
    let mut agent = Http2::new(&proxy).await;
    let request = http::Request::post(format!("https://{HOST}/")).header("content-length", "2");
    let request = request.header("content-length", "2").body(agent::full("{}")).unwrap();
    let (status, text) = agent::read(agent.send(request).await).await;
    assert_eq!((status, agent::rule(&text).as_str()), (400, "bad-framing"));
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}

#[tokio::test]
async fn bad_chunks_end_the_request_on_both_sides() {
    let origin = Origin::start(Speaks::TlsHttp1).await;
    let proxy = Proxy::to(&origin).await;
    let mut told = false;
    for chunks in ["xyz\r\n", "5\r\nabc\r\n0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "3\r\nabcX"] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let mut stream = agent::tls_to_host(&proxy, "http/1.1").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = raw_over(stream, b"").await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{chunks:?}: {answer}");
        assert!(!answer.contains("upstream"), "{chunks:?}: {answer}");
        told |= answer.starts_with("HTTP/1.1 400") && answer.contains("bad-framing");
    }
    assert!(told && origin.seen().is_empty(), "{:?}", origin.seen());
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
}

#[tokio::test]
async fn a_tunnel_carries_nothing_but_http() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::to(&origin).await;
    for (bytes, rule) in [
        (&b"\x00\x01\x02\x03 garbage"[..], "not-http"),
        (b"\xff\xff\xff\xff", "not-http"),
        (b" GET / HTTP/1.1\r\n\r\n", "not-http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
        (b"\x16\x03\x01\x00\x05hello", "handshake"),
        (b"\x16garbage that is no handshake", "handshake"),
    ] {
        let stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
        let answer = raw_over(stream, bytes).await;
        assert!(!answer.contains("200"), "{answer}");
        assert_eq!(proxy.blocked().await.rule, rule, "{bytes:?}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let origin = Origin::start(Speaks::Tls).await;
    let limits = EgressLimits { handshake_seconds: 3, ..EgressLimits::default() };
    let mut proxy = Proxy::limited(&origin, &[route(&origin, json!({}))], limits).await;
    let mut silent = agent::dial(&proxy).await;
    let mut begun = agent::dial(&proxy).await;
    begun.write_all(b"GET / HTTP/1.1\r\nHost: a").await.unwrap();
    let mut tunnel = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    let mut hello = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    hello.write_all(b"\x16").await.unwrap();
    let mut without_preface = agent::tls_to_host(&proxy, "h2").await;
    // However the end comes: it comes.
    let _ = limited(without_preface.read_to_end(&mut Vec::new())).await;
    for stream in [&mut silent, &mut begun, &mut tunnel, &mut hello] {
        let mut rest = Vec::new();
        limited(stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
    let mut rules = Vec::new();
    for _ in 0..5 {
        rules.push(proxy.blocked().await.rule);
    }
    rules.sort();
    assert_eq!(
        rules,
        ["handshake-timeout", "handshake-timeout", "handshake-timeout", "head-timeout", "head-timeout"]
    );
}

#[tokio::test]
async fn limits_refuse_what_is_over_them() {
    let origin = Origin::start(Speaks::Tls).await;
    let limits = EgressLimits { connections: 1, idle_seconds: 3, ..EgressLimits::default() };
    let proxy = Proxy::limited(&origin, &[route(&origin, json!({}))], limits).await;
    let mut first = Http1::new(&proxy).await;
    assert_eq!(first.get("/").await.0, 200);
    // The second waits until the first has been idle for too long.
    let second = raw(&proxy, b"GET /health HTTP/1.1\r\nHost: egress\r\nConnection: close\r\n\r\n").await;
    assert!(second.starts_with("HTTP/1.1 200"), "{second}");
    first.ended().await;
    // An origin that never answers is not waited for.
    let (status, text) = Http1::new(&proxy).await.get("/never").await;
    assert_eq!((status, agent::rule(&text).as_str()), (504, "upstream-timeout"));
}

#[tokio::test]
async fn resets_in_a_row_end_the_connection_and_nothing_else() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let rest = reset_in_a_row(&proxy).await;
    // GOAWAY with ENHANCE_YOUR_CALM (RFC 9113, section 7).
    let goaway = rest.windows(9).any(|frame| frame[3] == 7 && frame[..3] != [0, 0, 0]);
    assert!(goaway, "the connection ended without saying why");
    assert_eq!(Http2::new(&proxy).await.get("/").await.0, 200);
}

/// What a connection answers to requests that are all reset at once.
pub(crate) async fn reset_in_a_row(proxy: &Via) -> Vec<u8> {
    let mut stream = agent::tls_to_host(proxy, "h2").await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for index in 0..5_000_u32 {
        let id = (index * 2 + 1).to_be_bytes();
        // :method GET, :scheme https, :path /, :authority x; then its reset.
        bytes.extend_from_slice(&[0, 0, 6, 1, 5]);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&[0x82, 0x87, 0x84, 0x41, 0x01, b'x']);
        bytes.extend_from_slice(&[0, 0, 4, 3, 0]);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&[0, 0, 0, 8]);
    }
    let _ = limited(stream.write_all(&bytes)).await;
    let mut rest = Vec::new();
    let _ = limited(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn a_silent_tunnel_does_not_delay_the_end() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut tunnel = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    let mut begun = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    begun.write_all(b"\x16").await.unwrap();
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
    proxy.life.stop();
    for stream in [&mut tunnel, &mut begun] {
        assert!(limited(stream.read_u8()).await.is_err());
    }
}

#[tokio::test]
async fn headers_without_end_are_not_collected() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut stream = agent::tls_to_host(&proxy, "h2").await;
    let mut bytes =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82".to_vec();
    for _ in 0..2_000 {
        // CONTINUATION without END_HEADERS: a literal header of 1 KiB.
        let mut block = vec![0x00, 0x01, b'a', 0x7f, 0x81, 0x07];
        block.extend(std::iter::repeat_n(b'b', 1024));
        let length = u32::try_from(block.len()).unwrap().to_be_bytes();
        bytes.extend_from_slice(&length[1..]);
        bytes.extend_from_slice(&[9, 0, 0, 0, 0, 1]);
        bytes.extend_from_slice(&block);
    }
    let _ = limited(stream.write_all(&bytes)).await;
    let closed = async { while stream.read_u8().await.is_ok() {} };
    limited(closed).await;
    assert_eq!(Http2::new(&proxy).await.get("/").await.0, 200);
}
