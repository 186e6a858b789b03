//! Whether a delivery is the forge's (D1).

use base::Secret;
use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use sha2::Sha256;

/// Headers with the signature in hex; older releases send only the last.
const BARE: [&str; 3] = ["x-gitea-signature", "x-forgejo-signature", "x-gogs-signature"];
/// The header with `sha256=` before it.
const PREFIXED: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";
/// Bytes of one.
const LENGTH: usize = 32;

/// Why a delivery is not taken for the forge's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// No header that could hold a signature is there.
    #[error("it has no signature: set the webhook's secret at the forge")]
    Missing,
    /// A signature is empty, which is what a forge sends that knows no secret.
    #[error("its signature is empty: set the webhook's secret at the forge")]
    Empty,
    /// A signature is not that of this text with this secret.
    #[error("its signature is wrong: the secret at the forge is another than the one here")]
    Wrong,
}

/// Checks every signature that is there, in a time that does not depend on how much of it is right.
///
/// # Errors
/// There is none, or one of them is not right.
pub fn verify(secret: &Secret, headers: &HeaderMap, signed: &[u8]) -> Result<(), Unsigned> {
    let given = given(headers)?;
    // The text is gone through once, however many signatures there are.
    let mac = mac(secret, signed);
    given.iter().try_for_each(|given| mac.clone().verify_slice(given).map_err(|_| Unsigned::Wrong))
}

/// What has the form of a signature; nothing that cannot be one costs a look at the text.
fn given(headers: &HeaderMap) -> Result<Vec<Vec<u8>>, Unsigned> {
    let bare = BARE.iter().flat_map(|name| headers.get_all(*name)).map(|value| (value, ""));
    let prefixed = headers.get_all(PREFIXED).iter().map(|value| (value, PREFIX));
    let mut given = Vec::new();
    for (value, prefix) in bare.chain(prefixed) {
        let value = value.to_str().map_err(|_| Unsigned::Wrong)?;
        let digits = value.strip_prefix(prefix);
        if value.is_empty() || digits == Some("") {
            return Err(Unsigned::Empty);
        }
        let bytes = digits.and_then(|digits| hex::decode(digits).ok());
        given.push(bytes.filter(|bytes| bytes.len() == LENGTH).ok_or(Unsigned::Wrong)?);
    }
    if given.is_empty() { Err(Unsigned::Missing) } else { Ok(given) }
}

/// The signature of a text, in hex.
#[must_use]
pub fn sign(secret: &Secret, text: &[u8]) -> String {
    hex::encode(mac(secret, text).finalize().into_bytes())
}

fn mac(secret: &Secret, text: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any key");
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("made up".to_owned())
    }

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_known_answer() {
        // RFC 4231, test case 2.
        let mac = sign(&Secret::new("Jefe".to_owned()), b"what do ya want for nothing?");
        assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn every_signature_that_is_there_is_right() {
        let right = sign(&secret(), b"{}");
        let hub = format!("sha256={right}");
        let wrong = sign(&secret(), b"{ }");
        type Given<'g> = &'g [(&'static str, &'g str)];
        let cases: &[(Given<'_>, Result<(), Unsigned>)] = &[
            (&[("x-gitea-signature", &right)], Ok(())),
            (&[("x-forgejo-signature", &right)], Ok(())),
            (&[("x-gogs-signature", &right)], Ok(())),
            (&[("x-hub-signature-256", &hub)], Ok(())),
            (&[("x-gitea-signature", &right), ("x-hub-signature-256", &hub)], Ok(())),
            (&[], Err(Unsigned::Missing)),
            (&[("x-hub-signature", &hub)], Err(Unsigned::Missing)),
            (&[("x-gitea-signature", "")], Err(Unsigned::Empty)),
            (&[("x-gitea-signature", &right), ("x-hub-signature-256", "")], Err(Unsigned::Empty)),
            (&[("x-gitea-signature", &right), ("x-hub-signature-256", &right)], Err(Unsigned::Wrong)),
            (&[("x-gitea-signature", &right), ("x-forgejo-signature", &wrong)], Err(Unsigned::Wrong)),
            (&[("x-gitea-signature", &right), ("x-gitea-signature", &wrong)], Err(Unsigned::Wrong)),
            (&[("x-gitea-signature", &wrong)], Err(Unsigned::Wrong)),
            (&[("x-gitea-signature", &right[..62])], Err(Unsigned::Wrong)),
            (&[("x-gitea-signature", "no hex")], Err(Unsigned::Wrong)),
            (&[("x-hub-signature-256", "sha1=00")], Err(Unsigned::Wrong)),
            // What Gitea sends there when it knows no secret.
            (&[("x-hub-signature-256", "sha256=")], Err(Unsigned::Empty)),
        ];
        for (given, expected) in cases {
            assert_eq!(verify(&secret(), &headers(given), b"{}"), *expected, "{given:?}");
        }
    }
}
