//! A TLS web server on loopback with a certificate authority of its own, which remembers what it was asked.

mod git;
mod socket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A page that tells the model that reads it what to do.
const POISONED: &str = include_str!("poisoned.txt");

pub use git::Forge;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// The host it named.
    pub host: String,
    /// Its path and query.
    pub path: String,
    /// Its `Authorization` header.
    pub authorization: Option<String>,
}

/// The running server.
#[derive(Clone)]
pub struct Origin {
    /// Where it listens: a free port on 127.0.0.1.
    pub address: SocketAddr,
    /// The certificate (PEM) of the authority that signed its own.
    pub authority: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    may_end: Arc<AtomicBool>,
    forge: Option<Forge>,
}

impl Origin {
    /// Starts it for these host names, with a forge below `/team/` if there is one; it ends with `lifecycle`.
    ///
    /// # Errors
    /// No port is free, or no certificate could be made.
    pub async fn start(hosts: &[&str], forge: Option<Forge>, lifecycle: &Lifecycle) -> Result<Self> {
        let (authority, tls) = certificate(hosts).context("cannot make the origin's certificate")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let origin = Self { address, authority, seen: Arc::default(), may_end: Arc::default(), forge };
        let (accept, owner) =
            (origin.clone().accept(listener, TlsAcceptor::from(tls), lifecycle.clone()), lifecycle);
        owner.spawn(accept);
        Ok(origin)
    }

    /// Everything that arrived so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on a program that asks whether it may end is told yes.
    pub fn let_end(&self) {
        self.may_end.store(true, Ordering::SeqCst);
    }

    async fn accept(self, listener: TcpListener, tls: TlsAcceptor, lifecycle: Lifecycle) {
        let stop = lifecycle.stop_token();
        while let Some(Ok((socket, _))) = stop.run_until_cancelled(listener.accept()).await {
            let (origin, tls, owner) = (self.clone(), tls.clone(), lifecycle.clone());
            lifecycle.spawn(async move {
                // A client that breaks its connection is that client's affair.
                let Ok(stream) = tls.accept(socket).await else { return };
                let service = service_fn(move |request| {
                    let (origin, owner) = (origin.clone(), owner.clone());
                    async move { Ok::<_, Infallible>(origin.serve(request, &owner).await) }
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn serve(&self, mut request: Request<Incoming>, owner: &Lifecycle) -> Response<Full<Bytes>> {
        if let Some(forge) = &self.forge
            && request.uri().path().starts_with("/team/")
        {
            return forge.answer(request).await;
        }
        let answer = self.answer(&request);
        socket::accept(&mut request, owner).unwrap_or(answer)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let seen = Seen {
            method: request.method().to_string(),
            host: request.uri().host().map(str::to_owned).or_else(|| header("host")).unwrap_or_default(),
            path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            authorization: header("authorization"),
        };
        let answer = match seen.path.as_str() {
            "/api/may-i-end" if self.may_end.load(Ordering::SeqCst) => "yes",
            "/api/may-i-end" => "no",
            "/api/poisoned" => POISONED,
            _ => "hello from the origin\n",
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        Response::new(Full::from(answer))
    }
}

/// A certificate for these hosts: that of a new authority (PEM), and what a TLS server needs.
///
/// # Errors
/// A host's name is none.
pub fn certificate(hosts: &[&str]) -> Result<(String, Arc<rustls::ServerConfig>)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "demo origin authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>();
    let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((authority.pem(), Arc::new(config)))
}
