//! CONNECT, SNI, `Host` and `:authority` agree, or nothing passes.

use http::Request;

use crate::agent::{self, Http1, Http2, empty, raw_over, read, rule};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::Proxy;

#[tokio::test]
async fn sni_must_be_the_tunnels_host() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::to(&origin).await;
    for (authority, name, host) in [
        ("front.example.com:443", HOST, HOST),
        (&*format!("{HOST}:443"), "front.example.com", HOST),
        (&*format!("{HOST}:443"), "front.example.com", "front.example.com"),
        // A name needs SNI: only an address goes without.
        (&*format!("{HOST}:443"), "192.0.2.1", HOST),
        ("192.0.2.1:443", HOST, HOST),
    ] {
        let stream = agent::tunnel(&proxy, authority).await;
        let stream = tls_as(&proxy, stream, name, authority).await;
        let request = Request::get("/").header("host", host).body(empty()).unwrap();
        let (status, text) = read(Http1::over(stream).await.send(request).await).await;
        assert_eq!((status, rule(&text).as_str()), (421, "identity"), "{authority} {name} {host}");
        assert_eq!(proxy.blocked().await.rule, "identity");
    }
    assert_eq!(origin.connections(), 0);
}

/// A client without SNI checks the certificate of the tunnel's host all the same.
async fn tls_as(
    proxy: &Proxy,
    stream: tokio::net::TcpStream,
    name: &str,
    authority: &str,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    if is_address && !authority.starts_with(name) {
        return agent::tls_without_sni(proxy, stream, HOST).await;
    }
    agent::tls(proxy, stream, name, "http/1.1").await
}

#[tokio::test]
async fn the_host_header_must_be_the_tunnels_host_and_port() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    for (head, status, wanted) in [
        ("GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n", 421, "identity"),
        ("GET / HTTP/1.1\r\nHost: api.example.com:444\r\n\r\n", 421, "identity"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\nHost: user@api.example.com\r\n\r\n", 400, "malformed"),
        ("GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 400, "malformed"),
        ("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 405, "method"),
        ("TRACE / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 405, "method"),
    ] {
        let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
        assert!(answer.contains(&format!(r#""rule":"{wanted}""#)), "{head}: {answer}");
    }
    let fine = "GET / HTTP/1.1\r\nHost: API.example.com.:443\r\nConnection: close\r\n\r\n";
    let answer = raw_over(agent::tls_to_host(&proxy, "http/1.1").await, fine.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_http2_stream_with_a_host_header_of_another_name_is_refused() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let mut agent = Http2::new(&proxy).await;
    for (uri, host) in [(format!("https://{HOST}/"), "other.example.com"), (format!("http://{HOST}/"), HOST)]
    {
        let request = Request::get(uri).header("host", host).body(empty()).unwrap();
        let (status, text) = read(agent.send(request).await).await;
        assert_eq!((status, rule(&text).as_str()), (421, "identity"));
    }
    assert_eq!(agent.get("/").await.0, 200);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_client_hello_that_comes_byte_by_byte_is_still_a_client_hello() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let (near, far) = tokio::io::duplex(1);
    let stream = agent::tunnel(&proxy, "other.example.com:443").await;
    // Everything passes one byte at a time, each in its own packet.
    let pump = async move {
        let (mut far, mut stream) = (far, stream);
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut far, &mut stream, 1, 4096).await;
    };
    let talk = async {
        let stream = agent::tls_over(&proxy, near, "other.example.com", "http/1.1").await;
        let mut agent = Http1::over(stream).await;
        let request = Request::get("/").header("host", "other.example.com").body(empty()).unwrap();
        read(agent.send(request).await).await
    };
    let (status, text) = tokio::select! { told = talk => told, () = pump => panic!("the tunnel closed") };
    assert_eq!((status, rule(&text).as_str()), (403, "unlisted-host"));
    assert_eq!(origin.connections(), 0);
}
