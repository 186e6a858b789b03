//! What is scanned is scanned over every protocol; what passes unseen goes where it says it goes; what leaves through
//! the host's own proxy does so under the same rules.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use handover::sidecar::{EgressLimits, Uplink, UplinkProxy};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::agent::{self, AnyBody, Http1, Http2, Via, bytes, empty, first_answer, limited, read, rule};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, config, route, token};
use crate::scanning::leaked;

fn passing(origin: &Origin, more: &Value) -> Value {
    let mut route = route(origin, json!({ "tls": { "passthrough": true } }));
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route
}

/// The ClientHello of a client that wants to reach `name`.
fn hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A ClientHello with an extension appended, lengths included.
fn extended(mut hello: Vec<u8>, extension: &[u8]) -> Vec<u8> {
    let grow = |bytes: &mut [u8]| {
        let length = u16::from_be_bytes([bytes[0], bytes[1]]) + extension.len() as u16;
        bytes.copy_from_slice(&length.to_be_bytes());
    };
    // The record, the message, and the list of extensions after version, random, session, suites and compression.
    let session = 9 + 34;
    let suites = session + 1 + usize::from(hello[session]);
    let compression = suites + 2 + usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    let extensions = compression + 1 + usize::from(hello[compression]);
    grow(&mut hello[3..5]);
    grow(&mut hello[7..9]);
    grow(&mut hello[extensions..extensions + 2]);
    hello.extend_from_slice(extension);
    hello
}

#[tokio::test]
async fn tls_that_passes_is_the_hosts_own_and_recorded_as_unscanned() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::with(&origin, &[passing(&origin, &json!({}))]).await;
    // The agent trusts the origin's authority, not the bottle's.
    let direct = Via { address: proxy.address, certificate: origin.authority.clone() };
    for alpn in ["http/1.1", "h2"] {
        let request = Request::post(format!("https://{HOST}/v1")).header("host", HOST);
        let request = request.body(bytes(leaked())).unwrap();
        let status = if alpn == "h2" {
            read(Http2::new(&direct).await.send(request).await).await.0
        } else {
            read(Http1::new(&direct).await.send(request).await).await.0
        };
        assert_eq!(status, 200);
        assert_eq!(origin.last().body, leaked().into_bytes());
        let line = proxy.allowed().await.remove(0);
        assert!(line.is_unscanned);
        assert_eq!(
            (line.method.as_str(), line.host.as_str(), line.port, line.status),
            ("CONNECT", HOST, 443, 200)
        );
        assert!(line.sent > 300 && line.received > 300, "{line:?}");
    }
}

#[tokio::test]
async fn a_hello_is_read_however_slowly_it_comes() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::with(&origin, &[passing(&origin, &json!({}))]).await;
    let mut stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    for byte in hello(HOST) {
        assert_eq!(origin.connections(), 0);
        stream.write_all(&[byte]).await.unwrap();
    }
    // A handshake record of the origin.
    assert_eq!(limited(stream.read_u8()).await.unwrap(), 22);
}

#[tokio::test]
async fn what_passes_names_the_host_that_it_goes_to() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::with(&origin, &[passing(&origin, &json!({}))]).await;
    let nameless = hello("192.0.2.1");
    for (bytes, rule) in [
        (hello("other.example.com"), "identity"),
        (nameless, "identity"),
        (extended(hello(HOST), &[0xfe, 0x0d, 0, 1, 0]), "identity"),
        (b"\x16\x03\x01\x00\x05hello".to_vec(), "malformed"),
        (b"\x16\x03\x01\x40\x01".to_vec(), "malformed"),
        (b"\x17\x03\x03\x00\x01a".to_vec(), "not-http"),
    ] {
        let mut stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = limited(stream.read_to_end(&mut answer)).await;
        if rule != "not-http" {
            assert_eq!(answer, [21, 3, 3, 0, 2, 2, 49], "{rule}");
        }
        assert_eq!(proxy.blocked().await.rule, rule);
    }
    // An extension as such is none of the proxy's business.
    let mut stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    assert_eq!(origin.connections(), 0);
    stream.write_all(&extended(hello(HOST), &[0xfe, 0x99, 0, 1, 0])).await.unwrap();
    assert_eq!(limited(stream.read_u8()).await.unwrap(), 22);
    // What is not TLS does not pass by this route.
    let plain = format!("GET / HTTP/1.1\r\nHost: {HOST}:443\r\nConnection: close\r\n\r\n");
    let answer = agent::raw_over(agent::tunnel(&proxy, &format!("{HOST}:443")).await, plain.as_bytes()).await;
    assert!(answer.contains("wrong-scheme"), "{answer}");
}

#[tokio::test]
async fn addresses_are_judged_for_what_passes_too() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::with(&origin, &[passing(&origin, &json!({ "allow_private": [] }))]).await;
    let mut stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
    stream.write_all(&hello(HOST)).await.unwrap();
    assert_eq!(proxy.blocked().await.rule, "address");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn what_passes_ends_when_nothing_moves_or_never_begins() {
    let origin = Origin::start(Speaks::Tls).await;
    let limits = EgressLimits { idle_seconds: 3, handshake_seconds: 3, ..EgressLimits::default() };
    let mut proxy = Proxy::limited(&origin, &[passing(&origin, &json!({}))], limits).await;
    let hello = hello(HOST);
    for (bytes, rule) in [(&hello[..], None), (&hello[..20], Some("handshake-timeout"))] {
        let mut stream = agent::tunnel(&proxy, &format!("{HOST}:443")).await;
        stream.write_all(bytes).await.unwrap();
        limited(stream.read_to_end(&mut Vec::new())).await.unwrap();
        match rule {
            Some(rule) => assert_eq!(proxy.blocked().await.rule, rule),
            None => assert!(proxy.allowed().await[0].is_unscanned),
        }
    }
}

/// A company's proxy: it leads to the origin whatever it is asked for, and remembers what that was.
struct Company {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Company {
    async fn start(origin: &Origin, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, origin) = (Arc::new(Mutex::new(Vec::new())), origin.address);
        let (noted, mut tasks) = (Arc::clone(&asked), JoinSet::new());
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tunnels.spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    let head = String::from_utf8(head).unwrap();
                    noted.lock().unwrap().push(head.split("\r\n").next().unwrap().to_owned());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let mut origin = TcpStream::connect(origin).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
                });
            }
        });
        Self { url, asked, _tasks: tasks }
    }

    fn uplink(&self, resolves: bool) -> Uplink {
        Uplink { proxy: Some(UplinkProxy { url: self.url.clone(), resolves }), authorities: None }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn behind(origin: &Origin, routes: &[Value], uplink: Uplink) -> Proxy {
    let spool = tempfile::tempdir().unwrap();
    let config = config(origin, routes, EgressLimits::default(), spool.path());
    Proxy::of(egress::Config { uplink, ..config }, spool).await
}

#[tokio::test]
async fn every_connection_leaves_through_the_hosts_proxy() {
    let origin = Origin::start(Speaks::Tls).await;
    let company = Company::start(&origin, "HTTP/1.1 200 Connection established\r\n\r\n").await;
    let routes = [route(&origin, json!({})), passing(&origin, &json!({ "host": "other.example.com" }))];
    let proxy = behind(&origin, &routes, company.uplink(false)).await;
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
    let mut stream = agent::tunnel(&proxy, "other.example.com:443").await;
    stream.write_all(&hello("other.example.com")).await.unwrap();
    assert_eq!(limited(stream.read_u8()).await.unwrap(), 22);
    // An address that was judged here, not a name.
    assert_eq!(company.asked(), vec![format!("CONNECT {} HTTP/1.1", origin.address); 2]);
    // What is objectionable is not asked for.
    let proxy =
        behind(&origin, &[route(&origin, json!({ "allow_private": [] }))], company.uplink(false)).await;
    let (status, text) = Http1::new(&proxy).await.get("/").await;
    assert_eq!((status, rule(&text).as_str()), (403, "address"));
    assert_eq!(company.asked().len(), 2);
}

#[tokio::test]
async fn names_are_left_to_the_hosts_proxy_where_that_is_asked_for() {
    let origin = Origin::start(Speaks::Tls).await;
    let company = Company::start(&origin, "HTTP/1.1 200 OK\r\n\r\n").await;
    let named = route(&origin, json!({ "connect_to": "inside.example.com:8443", "allow_private": [] }));
    let proxy = behind(&origin, &[named], company.uplink(true)).await;
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
    assert_eq!(company.asked(), ["CONNECT inside.example.com:8443 HTTP/1.1"]);
    // An address is judged all the same.
    let proxy =
        behind(&origin, &[route(&origin, json!({ "allow_private": [] }))], company.uplink(true)).await;
    assert_eq!(Http1::new(&proxy).await.get("/").await.0, 403);
    assert_eq!(company.asked().len(), 1);
}

#[tokio::test]
async fn a_proxy_of_the_host_that_refuses_is_told_of() {
    let origin = Origin::start(Speaks::Tls).await;
    for (answer, told) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "it answers 403"),
        ("hello there\r\n\r\n", "it answers there"),
        ("\r\n\r\n", "its answer is not HTTP"),
    ] {
        let company = Company::start(&origin, answer).await;
        let proxy = behind(&origin, &[route(&origin, json!({}))], company.uplink(false)).await;
        let (status, text) = Http1::new(&proxy).await.get("/").await;
        assert_eq!((status, rule(&text).as_str()), (502, "connect"));
        assert!(text.contains(told), "{text}");
        assert_eq!(origin.seen().len(), 0);
    }
}

#[tokio::test]
async fn the_hosts_further_authorities_hold_on_every_route() {
    let origin = Origin::start(Speaks::Tls).await;
    let other = Origin::start(Speaks::Tls).await;
    let trusting = |authorities: Option<String>| Uplink { proxy: None, authorities };
    let by_system = route(&origin, json!({ "tls": null }));
    // `/origin.pem` is another authority's here.
    let by_route = route(&origin, json!({}));
    for route in [by_system, by_route] {
        let proxy = behind(&other, std::slice::from_ref(&route), trusting(None)).await;
        assert_eq!(Http1::new(&proxy).await.get("/").await.0, 502);
        let proxy = behind(&other, &[route], trusting(Some(origin.authority.clone()))).await;
        assert_eq!(Http1::new(&proxy).await.get("/").await.0, 200);
    }
}

fn blocking(origin: &Origin, more: &Value) -> Value {
    let mut route = route(origin, json!({ "dlp": { "outbound_on_match": "block" } }));
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route
}

#[tokio::test]
async fn a_mounted_path_is_scanned_and_gets_its_credential() {
    let origin = Origin::start(Speaks::Tls).await;
    let mount = json!({ "mount": "/api", "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let proxy = Proxy::with(&origin, &[blocking(&origin, &mount)]).await;
    let post = |body: &str| {
        format!(
            "POST /api/v1?a=b HTTP/1.1\r\nHost: egress:9099\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = first_answer(agent::dial(&proxy).await, post("all is well").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = origin.last();
    assert_eq!(
        (seen.target.as_str(), seen.header("authorization")),
        ("/v1?a=b", Some(&*format!("Bearer {}", token())))
    );
    let answer = first_answer(agent::dial(&proxy).await, post(&leaked()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(r#""rule":"secret""#), "{answer}");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn http_1_0_is_scanned_as_well() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::with(&origin, &[blocking(&origin, &json!({}))]).await;
    for (body, status) in [("all is well".to_owned(), "200"), (leaked(), "403")] {
        let request =
            format!("POST /v1 HTTP/1.0\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = agent::raw_over(agent::tls_to_host(&proxy, "http/1.1").await, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.0 ") && answer[9..].starts_with(status), "{answer}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_body_is_not_invited_when_the_head_is_refused() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::with(&origin, &[blocking(&origin, &json!({}))]).await;
    let request = format!(
        "POST /v1 HTTP/1.1\r\nHost: {HOST}\r\nX-Note: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        leaked()
    );
    let answer = first_answer(agent::tls_to_host(&proxy, "http/1.1").await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(r#""rule":"secret""#), "{answer}");
    assert_eq!(origin.connections(), 0);
}

/// A body whose frames the test sends one by one.
fn by_hand() -> (mpsc::UnboundedSender<Bytes>, AnyBody) {
    let (sender, frames) = mpsc::unbounded();
    (sender, http_body_util::BodyExt::boxed(StreamBody::new(frames.map(|bytes| Ok(Frame::data(bytes))))))
}

/// A message of gRPC: uncompressed, its length, itself.
fn grpc(text: &str) -> Bytes {
    [&[0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat().into()
}

#[tokio::test]
async fn both_sides_of_a_call_speak_in_turn_and_its_trailers_arrive() {
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let origin = Origin::start(speaks).await;
        let mut proxy = Proxy::with(&origin, &[blocking(&origin, &json!({}))]).await;
        for is_secret in [false, true] {
            let mut agent = Http2::new(&proxy).await;
            let (sender, body) = by_hand();
            let request = Request::post(format!("https://{HOST}/echo"))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            sender.unbounded_send(grpc("first")).unwrap();
            let mut answer = agent.send(request.body(body).unwrap()).await.into_body();
            let mut messages = vec!["first".to_owned(), "second".to_owned()];
            messages.extend((0..20).map(|count| format!("number {count}")));
            for (index, message) in messages.iter().enumerate() {
                if index > 0 {
                    sender.unbounded_send(grpc(message)).unwrap();
                }
                let (mut got, expected) = (Vec::new(), grpc(message));
                while got.len() < expected.len() {
                    got.extend_from_slice(
                        &limited(answer.frame()).await.unwrap().unwrap().into_data().unwrap(),
                    );
                }
                assert_eq!(got, expected, "{message}");
            }
            if is_secret {
                sender.unbounded_send(grpc(&format!("it is {} and so on", leaked()))).unwrap();
                assert_eq!(proxy.blocked().await.rule, "secret");
                assert!(limited(answer.frame()).await.is_none_or(|frame| frame.is_err()));
            } else {
                drop(sender);
                let end = limited(answer.collect()).await.unwrap();
                // Over HTTP/1.1 hyper sends none that were not announced.
                let expected = (speaks == Speaks::Tls).then_some("0");
                let status = end.trailers().and_then(|trailers| trailers.get("grpc-status"));
                assert_eq!(status.map(|status| status.to_str().unwrap()), expected);
                assert!(end.to_bytes().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn each_stream_of_a_connection_is_judged_by_itself() {
    let origin = Origin::start(Speaks::Tls).await;
    let other = blocking(&origin, &json!({ "host": "other.example.com" }));
    let proxy = Proxy::with(&origin, &[blocking(&origin, &json!({})), other]).await;
    let mut agent = Http2::new(&proxy).await;
    // Listed, but another host than the connection's (RFC 9113, section 9.1.1).
    let strange = Request::get("https://other.example.com/").body(empty()).unwrap();
    let secret = Request::post(format!("https://{HOST}/v1")).body(bytes(leaked())).unwrap();
    let clean = Request::post(format!("https://{HOST}/v1")).body(bytes("all is well")).unwrap();
    let answers = futures::future::join_all([strange, secret, clean].map(|request| {
        let mut sender = agent.sender.clone();
        async move { read(limited(sender.send_request(request)).await.unwrap()).await }
    }))
    .await;
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [421, 403, 200]);
    assert_eq!((rule(&answers[0].1).as_str(), rule(&answers[1].1).as_str()), ("identity", "secret"));
    assert_eq!(agent.get("/").await.0, 200);
    assert_eq!(origin.seen().len(), 2);
}
