//! The credential of a route (E4): what the agent sent in its place goes, the real value comes.

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use policy::{AuthScheme, CheckedAuth};
use zeroize::Zeroizing;

/// Headers beside `Authorization` in which services take a credential.
const OTHERS: [&str; 6] =
    ["api-key", "private-token", "x-api-key", "x-auth-token", "x-goog-api-key", "x-access-token"];

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
    /// credentials go in any case, also where they have another name: a service that prefers the other header would
    /// serve the account of whoever steers the agent.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        headers.remove(AUTHORIZATION);
        OTHERS.iter().for_each(|name| drop(headers.remove(*name)));
        headers.insert(self.name.clone(), self.value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_routes_own_credential_leaves() {
        let auth = CheckedAuth {
            scheme: AuthScheme::Bearer,
            header: AUTHORIZATION,
            token_ref: "T".to_owned(),
            token: "T".parse().unwrap(),
        };
        let credential = Credential::new(&auth, &Secret::new("mine".to_owned())).unwrap();
        let mut headers = HeaderMap::new();
        for name in OTHERS.into_iter().chain(["authorization", "accept"]) {
            headers.append(name, HeaderValue::from_static("theirs"));
            headers.append(name, HeaderValue::from_static("theirs too"));
        }
        credential.inject(&mut headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["accept: theirs", "accept: theirs too", "authorization: Bearer mine"]);
    }
}
