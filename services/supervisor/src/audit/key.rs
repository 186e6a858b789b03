//! The key that signs the trail: Ed25519.

use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base::Secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand::RngCore as _;

/// Why there is no key to sign or verify with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The trail's key is gone.
    #[error(
        "the audit key {} is missing, and there is a trail that it signed: restore it; to begin a new trail, on a new bus, \
         move the folder away",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("{} holds no audit key: restore it", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
    },
}

/// A text that is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Ed25519 public key in PEM")]
pub struct InvalidKey;

/// The private key of a trail. It cannot be printed, and is wiped when it is dropped.
pub struct AuditKey(SigningKey);

impl AuditKey {
    /// From a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads the key file, which others must not be able to read.
    pub(super) fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        if mode & 0o077 != 0 {
            let cure = format!("others may read it: chmod 600 {}", path.display());
            return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, cure)));
        }
        let text = Secret::new(std::fs::read_to_string(path).map_err(failed)?);
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.expose().trim(), &mut *seed)
            .map_err(|_| KeyError::Invalid { path: path.to_owned() })?;
        Ok(Self::from_seed(&seed))
    }

    /// Makes a key and writes it, mode 0600; one that is there stays.
    pub(super) fn make(path: &Path) -> Result<(), KeyError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *seed);
        let text = zeroize::Zeroizing::new(hex::encode(*seed) + "\n");
        write_new(path, text.as_bytes()).map_err(|source| KeyError::File { path: path.to_owned(), source })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs, in hex.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.sign(bytes).to_bytes())
    }
}

/// Writes a file whole or not at all, and leaves one that is there. Made with mode 0600.
pub(super) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// The public half: who verifies needs it, and it is no secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// What stands before the 32 bytes of an Ed25519 key in a DER `SubjectPublicKeyInfo` (RFC 8410 section 4).
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

impl PublicKey {
    /// As a PEM file, which `openssl pkeyutl` reads.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let der = [&DER[..], self.0.as_bytes()].concat();
        format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(der))
    }

    fn from_der(base64: &str) -> Option<Self> {
        let der = BASE64_STANDARD.decode(base64).ok()?;
        let bytes: [u8; 32] = der.strip_prefix(&DER)?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }

    /// Whether this signature, in hex, is this key's over these bytes.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &str) -> bool {
        let mut raw = [0; 64];
        hex::decode_to_slice(signature, &mut raw).is_ok()
            && self.0.verify_strict(bytes, &Signature::from_bytes(&raw)).is_ok()
    }
}

/// 32 bytes, in hex: as records name it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The keys that may have signed a trail.
#[derive(Clone, Debug)]
pub struct Keys(Vec<(String, PublicKey)>);

impl Keys {
    /// These.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.to_string(), key)).collect())
    }

    /// Reads PEM: one public key or several.
    ///
    /// # Errors
    /// There is none in it, or one that cannot be read.
    pub fn parse(pem: &str) -> Result<Self, InvalidKey> {
        let mut keys = Vec::new();
        let mut rest = pem;
        while let Some((_, block)) = rest.split_once(BEGIN) {
            let (body, after) = block.split_once(END).ok_or(InvalidKey)?;
            let base64: String = body.split_whitespace().collect();
            keys.push(PublicKey::from_der(&base64).ok_or(InvalidKey)?);
            rest = after;
        }
        if keys.is_empty() { Err(InvalidKey) } else { Ok(Self::new(keys)) }
    }

    /// The one that a record names.
    pub(super) fn find(&self, name: &str) -> Option<&PublicKey> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }
}
