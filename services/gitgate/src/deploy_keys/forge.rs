//! The three calls to the forge's API: add a key, list keys, delete a key.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base::Secret;
use handover::sidecar::Uplink;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use super::repository::Repository;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// Keys on one page of a list, and the most pages that are looked at.
const PAGE: usize = 50;
const PAGES: usize = 200;
/// The most bytes of an answer.
const ANSWER: usize = 1 << 20;

/// A repository's deploy keys at its forge.
pub(super) struct Forge {
    client: Client,
    repository: Repository,
    authorization: HeaderValue,
}

/// A key that is to be added.
#[derive(Serialize)]
struct NewKey<'a> {
    title: &'a str,
    key: &'a str,
    read_only: bool,
}

/// A key as the forge lists it.
#[derive(Deserialize)]
struct Key {
    id: i64,
    #[serde(default)]
    title: String,
}

impl Forge {
    pub(super) fn new(repository: Repository, token: &Secret, uplink: &Uplink) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("token {}", token.expose()))
            .ok()
            .context("the forge's token holds what no header can carry")?;
        authorization.set_sensitive(true);
        let mut client = Client::builder()
            .timeout(DEADLINE)
            // Whoever is redirected to would get the token.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(trust(uplink)?);
        if let Some(proxy) = &uplink.proxy {
            client = client.proxy(reqwest::Proxy::all(&proxy.url).context("reading the host's proxy")?);
        }
        let client = client.build().context("preparing to call the forge")?;
        Ok(Self { client, repository, authorization })
    }

    /// Adds a key with the right to write.
    ///
    /// # Errors
    /// The forge cannot be reached, or refuses.
    pub(super) async fn register(&self, title: &str, key: &str) -> anyhow::Result<()> {
        let request =
            self.call(Method::POST, self.repository.keys()).json(&NewKey { title, key, read_only: false });
        match self.answer(request, "registering a deploy key").await? {
            (StatusCode::CREATED | StatusCode::OK, _) => Ok(()),
            (status, body) => self.refused("register a deploy key", status, &body),
        }
    }

    /// Deletes every key of this title, and makes sure that none is left.
    ///
    /// # Errors
    /// The forge cannot be reached, refuses, or has one afterwards.
    pub(super) async fn revoke(&self, title: &str) -> anyhow::Result<()> {
        for id in self.titled(title).await? {
            let request = self.call(Method::DELETE, format!("{}/{id}", self.repository.keys()));
            match self.answer(request, "deleting a deploy key").await? {
                // One that is gone already is what was wanted.
                (StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::NOT_FOUND, _) => {}
                (status, body) => return self.refused("delete a deploy key", status, &body),
            }
        }
        match self.titled(title).await?.len() {
            0 => Ok(()),
            left => bail!(
                "{} still has {left} deploy keys named {title:?} after deleting them",
                self.repository.forge
            ),
        }
    }

    async fn titled(&self, title: &str) -> anyhow::Result<Vec<i64>> {
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let address = format!("{}?limit={PAGE}&page={page}", self.repository.keys());
            let (status, body) = self.answer(self.call(Method::GET, address), "listing deploy keys").await?;
            // A repository that is gone has taken its keys with it.
            if status == StatusCode::NOT_FOUND {
                return Ok(found);
            }
            if status != StatusCode::OK {
                return self.refused("list deploy keys", status, &body);
            }
            let keys: Vec<Key> = serde_json::from_slice(&body).context("reading the forge's list of keys")?;
            let is_last = keys.is_empty();
            found.extend(keys.into_iter().filter(|key| key.title == title).map(|key| key.id));
            if is_last {
                return Ok(found);
            }
        }
        bail!("the repository has more than {} deploy keys; delete old ones at the forge", PAGE * PAGES)
    }

    fn call(&self, method: Method, address: String) -> RequestBuilder {
        self.client.request(method, address).header(AUTHORIZATION, self.authorization.clone())
    }

    async fn answer(&self, request: RequestBuilder, doing: &str) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let failed = |error: reqwest::Error| {
            anyhow::Error::new(error.without_url())
                .context(format!("{doing} at {}: is it reachable from this host?", self.repository.forge))
        };
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > ANSWER {
                bail!("{doing} at {}: its answer is longer than {ANSWER} bytes", self.repository.forge);
            }
            body.extend_from_slice(&piece);
        }
        Ok((response.status(), body))
    }

    fn refused<T>(&self, what: &str, status: StatusCode, body: &[u8]) -> anyhow::Result<T> {
        let words = serde_json::from_slice::<serde_json::Value>(body).ok();
        let words = words.as_ref().and_then(|body| body.get("message")).and_then(|message| message.as_str());
        let cure = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; the token needs the right to administer the repository"
            }
            StatusCode::NOT_FOUND => "; is the repository's address right, and does the token see it?",
            _ => "",
        };
        let Repository { forge, owner, name } = &self.repository;
        bail!(
            "{forge} did not {what} of {owner}/{name}: {status} {}{cure}",
            base::inert(words.unwrap_or_default(), 200)
        )
    }
}

/// The host's authorities and those that the operator adds.
fn trust(uplink: &Uplink) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_slice_iter(uplink.authorities.as_deref().unwrap_or_default().as_bytes())
    {
        roots.add(certificate.context("reading a certificate")?).context("adding an authority")?;
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
