//! Ways to the origin, and connections on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures::stream;
use http::Request;
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::child::Child;

/// Where to connect and whom to trust there.
pub(crate) struct Way {
    address: SocketAddr,
    /// The origin's port, which every URL names: the rival dials no other.
    port: u16,
    tls: TlsConnector,
    /// The process id of the proxy that is asked for a tunnel.
    proxy: Option<u32>,
}

/// A kept-alive HTTP/1.1 connection.
pub(crate) struct Connection {
    authority: String,
    sender: http1::SendRequest<BoxBody<Bytes, Infallible>>,
    _driver: JoinSet<()>,
}

impl Way {
    pub(crate) fn new(
        address: SocketAddr,
        certificate: &str,
        origin: &Child,
        proxy: Option<u32>,
    ) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A client's first request to a host is measured; it knows nothing from an earlier one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { address, port: origin.address.port(), tls: TlsConnector::from(Arc::new(config)), proxy })
    }

    /// Straight to the origin.
    pub(crate) fn direct(origin: &Child) -> anyhow::Result<Self> {
        Self::new(origin.address, &origin.certificate, origin, None)
    }

    /// Through a proxy.
    pub(crate) fn through(proxy: &Child, origin: &Child) -> anyhow::Result<Self> {
        Self::new(proxy.address, &proxy.certificate, origin, Some(proxy.pid))
    }

    /// The processor time that the proxy has used so far; none without one.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let Some(proxy) = self.proxy else { return Ok(Duration::ZERO) };
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{proxy}/task"))? {
            // A thread may end in between; then its time is lost, as is that of all that ended before.
            let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// A new connection to a host.
    pub(crate) async fn connect(&self, host: &str) -> anyhow::Result<Connection> {
        let authority = format!("{host}:{}", self.port);
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        if self.proxy.is_some() {
            open_tunnel(&mut stream, &authority).await?;
        }
        let stream = self.tls.connect(ServerName::try_from(host.to_owned())?, stream).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async { drop(driver.await) });
        Ok(Connection { authority, sender, _driver: tasks })
    }
}

async fn open_tunnel(stream: &mut TcpStream, authority: &str) -> anyhow::Result<()> {
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            bail!("the proxy hung up");
        }
    }
    if !head.starts_with(b"HTTP/1.1 200") {
        bail!("the proxy refused a tunnel: {}", String::from_utf8_lossy(&head));
    }
    Ok(())
}

impl Connection {
    /// Asks and reads the whole answer.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<()> {
        self.send(
            Request::get(path)
                .header("host", &self.authority)
                .header("accept", "*/*")
                .body(Empty::new().boxed())?,
        )
        .await
    }

    /// Sends a JSON body and reads the whole answer.
    pub(crate) async fn post(&mut self, json: Bytes) -> anyhow::Result<()> {
        let request =
            Request::post("/").header("host", &self.authority).header("content-type", "application/json");
        self.send(request.body(Full::new(json).boxed())?).await
    }

    /// How long the first bytes of an event stream take, from the request on.
    pub(crate) async fn first_event(&mut self) -> anyhow::Result<Duration> {
        self.sender.ready().await?;
        let request = Request::get("/events").header("host", &self.authority).body(Empty::new().boxed())?;
        let begun = Instant::now();
        let mut body = self.sender.send_request(request).await.context("asking for events")?.into_body();
        body.frame().await.context("no event came")??;
        let first = begun.elapsed();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(first)
    }

    /// Sends a body of so many mebibytes.
    pub(crate) async fn upload(&mut self, mebibytes: u64) -> anyhow::Result<()> {
        let line = b"a line of a log as programs write it: 17 requests, 3 refused, took 5.2 ms\n";
        let chunk = Bytes::from(line.iter().copied().cycle().take(64 * 1024).collect::<Vec<u8>>());
        let frames = (0..mebibytes * 16).map(move |_| Ok(Frame::data(chunk.clone())));
        let body = BodyExt::boxed(StreamBody::new(stream::iter(frames)));
        self.send(Request::post("/").header("host", &self.authority).body(body)?).await
    }

    async fn send(&mut self, request: Request<BoxBody<Bytes, Infallible>>) -> anyhow::Result<()> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await.context("sending a request")?;
        let status = response.status();
        let mut body = response.into_body();
        let mut last = Bytes::new();
        while let Some(frame) = body.frame().await {
            last = frame?.into_data().unwrap_or_default();
        }
        if !status.is_success() {
            bail!("the answer is {status}: {}", String::from_utf8_lossy(&last));
        }
        Ok(())
    }
}
