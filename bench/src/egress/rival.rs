//! hudsucker with handlers that do nothing, and `TCP_NODELAY` on its listener, which accepted sockets inherit.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use hudsucker::certificate_authority::RcgenAuthority;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use tower_service::Service;

use super::child;

/// Serves until standard input closes. Its arguments are the origin's address and authority.
///
/// # Errors
/// It cannot listen, or the arguments are none.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(2);
    let origin: SocketAddr = arguments.next().context("the origin's address is missing")?.parse()?;
    let authority = arguments.next().context("the origin's authority is missing")?;
    let provider = rustls::crypto::ring::default_provider();

    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let ca = RcgenAuthority::new(Issuer::new(params, key), 1_000, provider.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    let address = listener.local_addr()?;
    let proxy = hudsucker::Proxy::builder()
        .with_listener(listener)
        .with_ca(ca)
        .with_http_connector(connector(origin, &authority, provider)?)
        .with_graceful_shutdown(pending())
        .build()?;
    tokio::select! {
        ended = child::serve_until_closed(address, certificate) => ended,
        failed = proxy.start() => Ok(failed?),
    }
}

fn connector(
    origin: SocketAddr,
    authority: &str,
    provider: rustls::crypto::CryptoProvider,
) -> anyhow::Result<hyper_rustls::HttpsConnector<HttpConnector<Fixed>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(Fixed(origin));
    http.enforce_http(false);
    http.set_nodelay(true);
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(http))
}

/// Every name is the origin's. The port of an address with one is kept.
#[derive(Clone)]
struct Fixed(SocketAddr);

impl Service<Name> for Fixed {
    type Response = std::iter::Once<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(std::iter::once(self.0)))
    }
}
