//! The certificates that an agent trusts: the system's, and its own proxy's.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use crate::backend::{BottleFile, Place};

/// All certificates to trust (PEM).
pub(super) const BUNDLE: &str = "ca-bundle.pem";
/// The proxy's alone (PEM).
pub(super) const AUTHORITY: &str = "ca.pem";
/// The proxy's alone, as Java reads it.
pub(super) const JAVA_STORE: &str = "java-truststore.jks";

/// Where distributions keep the system's bundle.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The sidecar's certificate is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the egress sidecar sent no PEM certificate")]
pub(crate) struct CertificateError;

/// The files for a bottle whose proxy has this certificate (PEM).
///
/// # Errors
/// It is not a certificate.
pub(crate) fn trust_files(certificate: &str) -> Result<Vec<BottleFile>, CertificateError> {
    let encoded = decode(certificate).ok_or(CertificateError)?;
    let system = SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(Path::new(path)).ok());
    let mut bundle = system.unwrap_or_default();
    bundle.extend_from_slice(b"\n");
    bundle.extend_from_slice(certificate.as_bytes());
    let file = |name: &str, content| BottleFile { place: Place::Trust, path: PathBuf::from(name), content };
    Ok(vec![
        file(BUNDLE, bundle),
        file(AUTHORITY, certificate.as_bytes().to_vec()),
        file(JAVA_STORE, java_store(&encoded)),
    ])
}

fn decode(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok().filter(|der| !der.is_empty())
}

/// A Java key store with one trusted certificate and the customary password, in the format that every Java since 1.2
/// reads: magic, version 2, the entries, and SHA-1 over password, a fixed phrase and all that.
fn java_store(certificate: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0xfeed_feed;
    const VERSION: u32 = 2;
    const TRUSTED: u32 = 2;
    let mut store = Vec::with_capacity(certificate.len() + 100);
    for word in [MAGIC, VERSION, 1, TRUSTED] {
        store.extend_from_slice(&word.to_be_bytes());
    }
    push_text(&mut store, "bot-bottle");
    store.extend_from_slice(&0_u64.to_be_bytes());
    push_text(&mut store, "X.509");
    // A certificate is a few hundred bytes; the frame that brought it is limited to four megabytes.
    store.extend_from_slice(&u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_be_bytes());
    store.extend_from_slice(certificate);
    let password: Vec<u8> = "changeit".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digest =
        Sha1::new().chain_update(password).chain_update("Mighty Aphrodite").chain_update(&store).finalize();
    store.extend_from_slice(&digest);
    store
}

/// Java's `writeUTF`, for ASCII.
fn push_text(store: &mut Vec<u8>, text: &str) {
    store.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"] {
            assert_eq!(trust_files(text).unwrap_err(), CertificateError);
        }
    }

    #[test]
    fn the_bundle_ends_with_our_own_certificate() {
        let pem = format!("{BEGIN}\nAAEC\n{END}\n");
        let files = trust_files(&pem).unwrap();
        assert!(files[0].content.ends_with(pem.as_bytes()));
        assert_eq!(files[1].content, pem.as_bytes());
        assert_eq!(files[2].content[..4], [0xfe, 0xed, 0xfe, 0xed]);
    }
}
