//! The credential of a route (E4): what the agent sent in its place goes, the real value comes.

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use policy::{AuthScheme, CheckedAuth};
use zeroize::Zeroizing;

/// A header with a secret value. It cannot be printed.
#[derive(Clone)]
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
}

/// A token that fits in no header. Its text says nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token of {0} has characters that no header can hold, or is empty; is there a line end in it?")]
pub struct UnusableToken(String);

impl Credential {
    /// The header that `auth` describes.
    ///
    /// # Errors
    /// The token has control characters, or is empty.
    pub(crate) fn new(auth: &CheckedAuth, token: &Secret) -> Result<Self, UnusableToken> {
        let text = Zeroizing::new(match auth.scheme {
            AuthScheme::Bearer => format!("Bearer {}", token.expose()),
            AuthScheme::Token => format!("token {}", token.expose()),
            AuthScheme::Basic => format!("Basic {}", STANDARD.encode(token.expose())),
            AuthScheme::Header => token.expose().to_owned(),
        });
        let usable = HeaderValue::from_str(&text).ok().filter(|_| !token.is_empty());
        let mut value = usable.ok_or_else(|| UnusableToken(auth.token_ref.clone()))?;
        value.set_sensitive(true);
        Ok(Self { name: auth.header.clone(), value })
    }

    /// The header that it comes in.
    pub(crate) fn header(&self) -> &HeaderName {
        &self.name
    }

    /// Puts the credential into a request that goes out on a verified connection of its route. The agent's own
    /// `Authorization` goes in any case, also where the credential has another name.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        headers.remove(AUTHORIZATION);
        headers.insert(self.name.clone(), self.value.clone());
    }
}
