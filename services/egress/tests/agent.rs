//! What an agent does: plain clients that speak through the proxy.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::origin::HOST;

/// How to reach a proxy, and whom to trust there.
pub(crate) struct Via {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: String,
}

pub(crate) type AnyBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

pub(crate) fn empty() -> AnyBody {
    Empty::new().boxed()
}

pub(crate) fn full(text: &'static str) -> AnyBody {
    Full::new(Bytes::from_static(text.as_bytes())).boxed()
}

pub(crate) fn bytes(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).boxed()
}

/// A connection to the proxy's port.
pub(crate) async fn dial(proxy: &Via) -> TcpStream {
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A tunnel to `authority`.
pub(crate) async fn tunnel(proxy: &Via, authority: &str) -> TcpStream {
    let mut stream = dial(proxy).await;
    stream
        .write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// TLS inside a tunnel, towards a name that may be another than the tunnel's.
pub(crate) async fn tls(proxy: &Via, stream: TcpStream, name: &str, alpn: &str) -> TlsStream<TcpStream> {
    tls_over(proxy, stream, name, alpn).await
}

/// The same over any stream.
pub(crate) async fn tls_over<S>(proxy: &Via, stream: S, name: &str, alpn: &str) -> TlsStream<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    connect(client(proxy, alpn), stream, name).await
}

/// The same from a client that does not say whom it wants to reach.
pub(crate) async fn tls_without_sni(proxy: &Via, stream: TcpStream, name: &str) -> TlsStream<TcpStream> {
    let mut config = client(proxy, "http/1.1");
    config.enable_sni = false;
    connect(config, stream, name).await
}

async fn connect<S>(config: rustls::ClientConfig, stream: S, name: &str) -> TlsStream<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

fn client(proxy: &Via, alpn: &str) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(proxy.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config
}

/// TLS to the usual host through the proxy.
pub(crate) async fn tls_to_host(proxy: &Via, alpn: &str) -> TlsStream<TcpStream> {
    let stream = tunnel(proxy, &format!("{HOST}:443")).await;
    tls(proxy, stream, HOST, alpn).await
}

pub(crate) struct Http1 {
    pub(crate) sender: http1::SendRequest<AnyBody>,
    driver: JoinSet<()>,
}

pub(crate) struct Http2 {
    pub(crate) sender: http2::SendRequest<AnyBody>,
    _driver: JoinSet<()>,
}

impl Http1 {
    /// To the usual host, over TLS.
    pub(crate) async fn new(proxy: &Via) -> Self {
        Self::over(tls_to_host(proxy, "http/1.1").await).await
    }

    pub(crate) async fn over(
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { drop(driver.with_upgrades().await) });
        Self { sender, driver: tasks }
    }

    /// Waits until the connection is closed.
    pub(crate) async fn ended(&mut self) {
        limited(self.driver.join_next()).await;
    }

    pub(crate) async fn send(&mut self, request: Request<AnyBody>) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        limited(self.sender.send_request(request)).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let request = Request::get(path).header("host", HOST).body(empty()).unwrap();
        read(self.send(request).await).await
    }
}

impl Http2 {
    pub(crate) async fn new(proxy: &Via) -> Self {
        let stream = tls_to_host(proxy, "h2").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { drop(driver.await) });
        Self { sender, _driver: tasks }
    }

    pub(crate) async fn send(&mut self, request: Request<AnyBody>) -> Response<Incoming> {
        limited(self.sender.send_request(request)).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let request = Request::get(format!("https://{HOST}{path}")).body(empty()).unwrap();
        read(self.send(request).await).await
    }
}

/// Nothing in a story takes this long, on a busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for a step for as long as any may take.
pub(crate) async fn limited<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, step).await.expect("an answer within a minute")
}

/// Waits until a descriptor has something to say.
pub(crate) async fn readable(descriptor: OwnedFd) -> OwnedFd {
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    let wait = move || {
        let ready =
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)))
                .unwrap();
        assert_eq!(ready, 1, "something happens within a minute");
        descriptor
    };
    tokio::task::spawn_blocking(wait).await.unwrap()
}

pub(crate) async fn read(
    response: Response<impl Body<Data = Bytes, Error: std::fmt::Debug>>,
) -> (u16, String) {
    let status = response.status().as_u16();
    let body = limited(response.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The rule in a refusal.
pub(crate) fn rule(text: &str) -> String {
    let refusal: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no refusal: {text}"));
    refusal["rule"].as_str().unwrap().to_owned()
}

/// Sends bytes to the proxy's port and reads until it closes.
pub(crate) async fn raw(proxy: &Via, bytes: &[u8]) -> String {
    raw_over(dial(proxy).await, bytes).await
}

pub(crate) async fn raw_over(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    bytes: &[u8],
) -> String {
    // The proxy may refuse and close while bytes are still on their way.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = limited(stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes and reads one answer, or until the other side closes.
pub(crate) async fn first_answer(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    bytes: &[u8],
) -> String {
    // The proxy may refuse and close while bytes are still on their way.
    let _ = stream.write_all(bytes).await;
    let mut answer = String::new();
    while let Ok(byte) = limited(stream.read_u8()).await {
        answer.push(char::from(byte));
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if body.len() >= length.parse().unwrap() {
            break;
        }
    }
    answer
}
