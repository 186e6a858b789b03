//! The origin: HTTP/1.1 over TLS with an authority of its own, answering small and large.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{DOMAIN, child};

/// Serves until standard input closes.
///
/// # Errors
/// It cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    let (authority, acceptor) = acceptor()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::select! {
        ended = child::serve_until_closed(address, authority) => ended,
        failed = accept(listener, acceptor) => failed,
    }
}

fn acceptor() -> anyhow::Result<(String, TlsAcceptor)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let params = CertificateParams::new(vec![format!("*.{DOMAIN}")])?;
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok((authority.pem(), TlsAcceptor::from(Arc::new(config))))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                // The load generator hangs up as it pleases.
                let _ =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let is_stream = request.uri().path() == "/events";
    let mebibytes = request.uri().path().strip_prefix("/big/").and_then(|count| count.parse::<u64>().ok());
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    if is_stream {
        return Ok(events());
    }
    let body = match mebibytes {
        None => Full::new(Bytes::from_static(&[b'x'; 1024])).boxed(),
        Some(count) => {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let frames = (0..count * 16).map(move |_| Ok(Frame::data(chunk.clone())));
            BodyExt::boxed(StreamBody::new(stream::iter(frames)))
        }
    };
    Ok(Response::new(body))
}

/// Two events, and nothing in between for longer than anybody may hold the first one back.
fn events() -> Response<BoxBody<Bytes, Infallible>> {
    let frames = stream::unfold(0, |count| async move {
        if count == 1 {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        let event = Bytes::from(format!("data: {{\"count\":{count},\"text\":\"all is well\"}}\n\n"));
        (count < 2).then_some((Ok(Frame::data(event)), count + 1))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
