//! Whom the proxy believes when an origin shows its certificate.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// The TLS settings towards origins that trust one set of authorities.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// Offers HTTP/2 and HTTP/1.1.
    pub(crate) any: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone: only there can a connection become a WebSocket without RFC 8441.
    pub(crate) http1: Arc<ClientConfig>,
}

impl Trust {
    fn new(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let mut any = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http1 = any.clone();
        any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { any: Arc::new(any), http1: Arc::new(http1) })
    }

    /// Trusts exactly the authorities of a PEM text.
    ///
    /// # Errors
    /// It holds no certificate, or one that is none.
    pub(crate) fn of_pem(pem: &str, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        Self::new(roots(pem)?, provider)
    }
}

/// The authorities of a PEM text.
///
/// # Errors
/// As [`Trust::of_pem`].
pub(crate) fn roots(pem: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.context("reading a certificate")?).context("adding an authority")?;
    }
    if roots.is_empty() {
        bail!("no certificate is in it");
    }
    Ok(roots)
}

/// The host's own authorities, read when they are first needed: many bottles never need them.
pub(crate) struct System {
    provider: Arc<CryptoProvider>,
    /// PEM, besides what the host trusts by itself.
    extra: Option<Arc<str>>,
    trust: OnceCell<Trust>,
}

impl System {
    /// `extra` are further authorities (PEM) that the operator trusts.
    pub(crate) fn new(provider: Arc<CryptoProvider>, extra: Option<Arc<str>>) -> Self {
        Self { provider, extra, trust: OnceCell::new() }
    }

    /// The settings that trust the host's authorities.
    ///
    /// # Errors
    /// The host has none that can be read; the next call tries again.
    pub(crate) async fn trust(&self) -> anyhow::Result<&Trust> {
        self.trust
            .get_or_try_init(async || {
                let (provider, extra) = (Arc::clone(&self.provider), self.extra.clone());
                tokio::task::spawn_blocking(move || load(&provider, extra.as_deref()))
                    .await
                    .context("loading was cut off")?
            })
            .await
    }
}

fn load(provider: &Arc<CryptoProvider>, extra: Option<&str>) -> anyhow::Result<Trust> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = extra.map(roots).transpose()?.unwrap_or_else(RootCertStore::empty);
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        bail!(
            "this host has no trusted authorities: install the package ca-certificates, or give tls.ca in the route"
        );
    }
    tracing::debug!(added, ignored, "loaded the host's authorities");
    Trust::new(roots, provider)
}
