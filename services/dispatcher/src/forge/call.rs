//! One call to a forge.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER: usize = 4 << 20;
/// What stays as it is in a part of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// It was not answered in time, or in no form that is known.
    #[error("the forge cannot be reached: {0}")]
    Unreachable(String),
    /// It answered no.
    #[error("the forge answered {status}: {words}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words, harmless to show.
        words: String,
    },
}

impl ForgeError {
    /// Whether trying again is of no use: the pull request is gone, or the forge does not take the text.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410 | 413 | 422 | 423, .. })
    }

    /// Whether the forge may answer otherwise soon: it is away, or has too much to do.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 502..=504),
        }
    }
}

pub(super) fn client() -> anyhow::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .timeout(DEADLINE)
        // Whoever is redirected to would get the token.
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls);
    client.build().context("preparing to call the forge")
}

/// One part of a path.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

pub(super) async fn answer(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ForgeError> {
    let failed = |error: reqwest::Error| {
        ForgeError::Unreachable(base::inert(&base::error::chain(&error.without_url()), 200))
    };
    let mut response = request.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > ANSWER {
            return Err(ForgeError::Unreachable(format!("its answer is longer than {ANSWER} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok((response.status(), body))
}

pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ForgeError> {
    serde_json::from_slice(body)
        .map_err(|_| ForgeError::Unreachable("its answer is in no form that is known".to_owned()))
}

pub(super) fn refused(status: StatusCode, body: &[u8]) -> ForgeError {
    let words = serde_json::from_slice::<serde_json::Value>(body).ok();
    let words = words.as_ref().and_then(|body| body.get("message")).and_then(|message| message.as_str());
    ForgeError::Refused { status: status.as_u16(), words: base::inert(words.unwrap_or_default(), 200) }
}
