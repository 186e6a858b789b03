//! Nothing secret leaves: surfaces, outcomes, codings, bodies of any size (E9, E11).

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::agent::{
    AnyBody, Http1, Http2, bytes, dial, empty, first_answer, full, limited, read, rule, tls_to_host,
};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, canary, route, token};

/// A token of a documented form.
pub(crate) fn leaked() -> String {
    let letters: String = (0..36u32).map(|n| char::from(b'a' + ((n * 7 + n / 3) % 26) as u8)).collect();
    format!("gh{}_{}", 'p', letters.replace('e', "7").replace('m', "Q").replace('t', "4"))
}

async fn proxy(origin: &Origin, dlp: Value) -> Proxy {
    Proxy::with(origin, &[route(origin, json!({ "dlp": dlp }))]).await
}

fn on_match(outcome: &str) -> Value {
    json!({ "outbound_on_match": outcome })
}

fn post(body: AnyBody) -> Request<AnyBody> {
    Request::post("/v1/notes?draft=1").header("host", HOST).body(body).unwrap()
}

/// Sends a request; the status, and the rule or the answer.
async fn tried(proxy: &Proxy, request: Request<AnyBody>) -> (u16, String) {
    let (status, text) = read(Http1::new(proxy).await.send(request).await).await;
    if status == 403 { (status, rule(&text)) } else { (status, text) }
}

fn refused(with: &str) -> (u16, String) {
    (403, with.to_owned())
}

#[tokio::test]
async fn a_token_does_not_leave_on_any_surface() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, on_match("block")).await;
    let leaked = leaked();
    let get = |path: String| Request::get(path).header("host", HOST);
    for (request, surface) in [
        (get(format!("/v1/{leaked}/x")).body(empty()), "path"),
        (get(format!("/v1?q={leaked}&b=1")).body(empty()), "query"),
        (get(format!("/v1?a={}&b={}", &leaked[..20], &leaked[20..])).body(empty()), "query"),
        (get("/v1".to_owned()).header("x-note", format!("it is {leaked}.")).body(empty()), "headers"),
        (get("/v1".to_owned()).header("authorization", format!("Bearer {leaked}")).body(empty()), "headers"),
        (get("/v1".to_owned()).header("cookie", format!("a=b; s={leaked}; c=d")).body(empty()), "headers"),
        (get("/v1".to_owned()).header(format!("x-{}", hex::encode(&leaked)), "1").body(empty()), "headers"),
        (Ok(post(bytes(format!(r#"{{"note":"{leaked}"}}"#)))), "body"),
        (Ok(post(bytes(format!(r#"{{"note":"{}"}}"#, STANDARD.encode(&leaked))))), "body"),
    ] {
        let (status, text) = read(Http1::new(&proxy).await.send(request.unwrap()).await).await;
        assert_eq!((status, rule(&text).as_str()), (403, "secret"), "{surface}: {text}");
        let blocked = proxy.blocked().await;
        let found = blocked.found.clone().unwrap();
        assert_eq!(
            (found.surface.as_str(), found.detector.as_str()),
            (surface, "token_patterns/github-token")
        );
        let recorded = serde_json::to_string(&blocked).unwrap();
        assert!(!recorded.contains(&leaked), "{surface}: {recorded}");
        // What the agent reads of its own request is its own.
        assert!(surface == "path" || !text.contains(&leaked), "{surface}: {text}");
    }
    assert!(origin.seen().is_empty());
}

/// Whatever became of the request, and whether anybody looked at it: the record has no secret in it.
#[tokio::test]
async fn no_record_holds_a_secret() {
    let origin = Origin::start(Speaks::Tls).await;
    let matches = json!({ "matches": [{ "paths": [{ "type": "prefix", "value": "/ok" }] }] });
    for dlp in [json!({ "outbound_detectors": false }), on_match("redact"), on_match("supervise")] {
        let mut more = matches.clone();
        more["dlp"] = dlp;
        let mut proxy = Proxy::with(&origin, &[route(&origin, more)]).await;
        for secret in [token(), leaked(), canary()] {
            let hidden = hex::encode(&secret);
            let (one, two) = hidden.split_at(hidden.len() / 2);
            for uri in [
                format!("https://{HOST}/ok/{secret}"),
                format!("https://{HOST}/ok?q={secret}"),
                format!("https://{HOST}/refused/{secret}/x"),
                format!("https://{HOST}/ok/{}", STANDARD.encode(&secret).replace('/', "_")),
                format!("https://{HOST}/{}{secret}", "x".repeat(1024 - 20)),
            ] {
                let request = Request::get(uri.clone()).body(empty()).unwrap();
                let _ = read(Http2::new(&proxy).await.send(request).await).await;
                let recorded = proxy.record().await;
                let needles = [&secret[..], &secret[..19], &STANDARD.encode(&secret)[..20]];
                assert!(!needles.iter().any(|part| recorded.contains(part)), "{uri}: {recorded}");
            }
            let request = format!(
                "GET http://{one}.{two}.example.com/ HTTP/1.1\r\nHost: {one}.{two}.example.com\r\n\r\n"
            );
            first_answer(dial(&proxy).await, request.as_bytes()).await;
            let recorded = proxy.record().await;
            assert!(!recorded.contains(one) && !recorded.contains(two), "{recorded}");
        }
    }
}

#[tokio::test]
async fn trailers_are_part_of_it() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, on_match("block")).await;
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), leaked().parse().unwrap())]);
    let frames = [Frame::data(Bytes::from_static(b"x")), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, std::convert::Infallible>))).boxed();
    let request = Request::post(format!("https://{HOST}/v1")).body(body).unwrap();
    let (status, text) = read(Http2::new(&proxy).await.send(request).await).await;
    assert_eq!((status, rule(&text).as_str()), (403, "secret"));
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn the_bottles_own_secrets_do_not_leave_in_any_disguise() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, on_match("block")).await;
    let token = token();
    let spaced: Vec<String> = token.chars().map(String::from).collect();
    for body in [
        token.clone(),
        STANDARD.encode(&token),
        STANDARD.encode(STANDARD.encode(&token)),
        hex::encode(&token),
        spaced.join(" "),
        token.chars().rev().collect(),
        token[..16].to_owned(),
    ] {
        assert_eq!(tried(&proxy, post(bytes(body.clone()))).await, refused("secret"), "{body}");
        let found = proxy.blocked().await.found.unwrap();
        assert_eq!(found.detector, "known_secrets/API_TOKEN");
    }
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn the_canary_leaves_under_no_setting() {
    let origin = Origin::start(Speaks::Tls).await;
    for dlp in [json!({ "outbound_detectors": false }), on_match("supervise"), on_match("redact")] {
        let mut proxy = proxy(&origin, dlp).await;
        for body in [canary(), STANDARD.encode(canary()), canary()[3..30].to_owned()] {
            assert_eq!(tried(&proxy, post(bytes(body))).await, refused("canary"));
            assert!(proxy.blocked().await.found.unwrap().is_certain);
        }
        // Everything else is the operator's own choice.
        let request = post(bytes("all is well"));
        assert_eq!(tried(&proxy, request).await.0, 200);
    }
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test]
async fn a_route_without_detectors_lets_tokens_leave() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, json!({ "outbound_detectors": false })).await;
    assert_eq!(tried(&proxy, post(bytes(leaked()))).await.0, 200);
    assert_eq!(origin.last().body, leaked().into_bytes());
    let coded = Request::post("/").header("host", HOST).header("content-encoding", "secret-sauce");
    assert_eq!(tried(&proxy, coded.body(full("x")).unwrap()).await.0, 200);
}

#[tokio::test]
async fn redacting_keeps_lengths_and_json_whole() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, on_match("redact")).await;
    let leaked = leaked();
    let body = json!({ "note": leaked, "list": [token(), 1], "coded": STANDARD.encode(&leaked) }).to_string();
    let request = Request::post(format!("/v1?a={leaked}&b=2"))
        .header("host", HOST)
        .header("x-note", format!("mine: {leaked}"))
        .header("x-note", "second");
    assert_eq!(tried(&proxy, request.body(bytes(body.clone())).unwrap()).await.0, 200);
    let seen = origin.last();
    let got: Value = serde_json::from_slice(&seen.body).expect("still JSON");
    assert_eq!(seen.body.len(), body.len());
    assert_eq!(got["list"][1], 1);
    let all = format!("{} {:?} {}", seen.target, seen.headers, String::from_utf8_lossy(&seen.body));
    for gone in [&leaked, &token(), &STANDARD.encode(&leaked)] {
        assert!(!all.contains(gone.as_str()), "{all}");
    }
    assert!(seen.target.starts_with("/v1?a=111_1111") && seen.target.ends_with("&b=2"), "{}", seen.target);
    let notes: Vec<_> = seen.headers.get_all("x-note").iter().collect();
    assert_eq!(notes[1], "second");
    let line = proxy.allowed().await.remove(0);
    assert!(line.found.iter().all(|found| found.outcome == bus::message::egress::Outcome::Redacted));
    assert!(line.found.len() >= 4, "{:?}", line.found);
    // A path with something else in it would be another request.
    let request = Request::get(format!("/v1/{leaked}")).header("host", HOST).body(empty()).unwrap();
    assert_eq!(tried(&proxy, request).await, refused("secret"));
}

#[tokio::test]
async fn compressed_bodies_are_judged_unpacked_and_leave_as_they_came() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, on_match("block")).await;
    let pack = |text: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let coded = |coding: &str, body: Vec<u8>| {
        let request = Request::post("/v1").header("host", HOST).header("content-encoding", coding);
        request.body(bytes(body)).unwrap()
    };
    let clean = pack(&"all is well ".repeat(40_000));
    assert_eq!(tried(&proxy, coded("gzip", clean.clone())).await.0, 200);
    assert_eq!(origin.last().body, clean);
    let secret = pack(&format!("{} {}", "all is well ".repeat(40_000), leaked()));
    assert_eq!(tried(&proxy, coded("gzip", secret)).await, refused("secret"));
    for (coding, body) in [
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", clean[..clean.len() - 9].to_vec()),
        ("secret-sauce", b"x".to_vec()),
        ("gzip", pack(&"\0".repeat(40 << 20))),
    ] {
        assert_eq!(tried(&proxy, coded(coding, body)).await, refused("unscannable"), "{coding}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn of_a_large_body_no_byte_leaves_from_the_secret_on() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, on_match("block")).await;
    let filler = "all is well, nothing to see here. ".repeat(2_000);
    let leaked = leaked();
    let pieces = [vec![filler.as_str(); 20], vec![&leaked[..11], &leaked[11..]], vec![&filler; 20]].concat();
    let frames: Vec<_> = pieces
        .into_iter()
        .map(|text| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(text.to_owned()))))
        .collect();
    let request = Request::post("/v1").header("host", HOST);
    let request = request.body(StreamBody::new(stream::iter(frames)).boxed()).unwrap();
    assert_eq!(tried(&proxy, request).await, refused("secret"));
    assert_eq!(proxy.blocked().await.rule, "secret");
    // The origin saw the request break off; it never got to its end.
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_goes_on_writing_reads_why_it_is_refused() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, on_match("block")).await;
    let mut stream = tls_to_host(&proxy, "http/1.1").await;
    let filler = "all is well, nothing to see here. ".repeat(2_000);
    let head = format!("POST /v1 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n{}", leaked());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(filler.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    limited(stream.read_exact(&mut answer)).await.unwrap();
    for _ in 0..20 {
        // So that a connection that is broken is known to be.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        limited(stream.write_all(filler.as_bytes())).await.expect("it is still listened to");
    }
    limited(stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn large_clean_bodies_arrive_whole() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, Value::Object(serde_json::Map::new())).await;
    let text: String =
        (0..60_000).map(|n| format!("{{\"line\": {n}, \"text\": \"all is well\"}}\n")).collect();
    assert_eq!(tried(&proxy, post(bytes(text.clone()))).await.0, 200);
    let seen = origin.last();
    assert_eq!(seen.received, text.len() as u64);
    assert!(seen.body == text.as_bytes()[..1 << 20]);
}

#[tokio::test]
async fn a_sender_that_pauses_is_not_held_up() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, Value::Object(serde_json::Map::new())).await;
    // The origin answers as soon as it has read the beginning, and the sender goes on only then.
    let beginning =
        stream::iter([Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"hello \n")))]);
    let body = StreamBody::new(futures::StreamExt::chain(beginning, stream::pending())).boxed();
    let request = Request::post("/early").header("host", HOST).body(body).unwrap();
    assert_eq!(tried(&proxy, request).await.0, 200);
    assert_eq!(origin.last().body, b"hello \n");
}

#[tokio::test]
async fn an_injected_header_is_refused_whatever_the_route_says() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, json!({ "outbound_detectors": false })).await;
    let request = Request::get("/v1?a=b%0d%0aX-Admin:%20yes").header("host", HOST).body(empty()).unwrap();
    assert_eq!(tried(&proxy, request).await, refused("header-injection"));
}

#[tokio::test]
async fn with_nobody_to_ask_a_held_request_is_refused() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, on_match("supervise")).await;
    let (status, text) = read(Http1::new(&proxy).await.send(post(bytes(leaked()))).await).await;
    assert_eq!((status, rule(&text).as_str()), (403, "secret"));
    assert!(text.contains("no person can be asked: the bus is away"), "{text}");
    assert_eq!(proxy.blocked().await.found.unwrap().outcome, bus::message::egress::Outcome::Held);
}
