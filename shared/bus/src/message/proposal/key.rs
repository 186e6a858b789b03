//! Operators' keys: Ed25519, in the text form of NATS user keys, which has a checksum.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base::Secret;
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};

use crate::files;

/// A text that is no operator's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator's public key is 56 characters that begin with U")]
pub struct InvalidOperatorId;

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct InvalidSignature;

/// Why there is no operator's key.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyError {
    /// There is none yet.
    #[error("there is no operator's key ({} is missing): run `bot-bottle init`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot use the operator's key {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no operator's key: restore it, or move it away and run `bot-bottle init`", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
    },
}

/// An operator's private key. It cannot be printed.
pub struct OperatorKey(KeyPair);

impl OperatorKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::new_user())
    }

    /// Reads a key file, which others must not be able to read.
    ///
    /// # Errors
    /// [`OperatorKeyError`].
    pub fn load(path: &Path) -> Result<Self, OperatorKeyError> {
        let path = path.to_owned();
        let seed = match files::read_private(&path) {
            Ok(seed) => seed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OperatorKeyError::Missing { path });
            }
            Err(source) => return Err(OperatorKeyError::File { path, source }),
        };
        match KeyPair::from_seed(seed.expose().trim()) {
            Ok(key) if key.key_pair_type() == KeyPairType::User => Ok(Self(key)),
            _ => Err(OperatorKeyError::Invalid { path }),
        }
    }

    /// Reads a key file, or makes a key and writes it there, mode 0600, if there is none.
    ///
    /// # Errors
    /// [`OperatorKeyError`].
    pub fn load_or_create(path: &Path) -> Result<Self, OperatorKeyError> {
        match Self::load(path) {
            Err(OperatorKeyError::Missing { .. }) => {}
            loaded => return loaded,
        }
        let seed = KeyPair::new_user().seed().map(Secret::new);
        let seed = seed.map_err(|_| OperatorKeyError::Invalid { path: path.to_owned() })?;
        // Another init may have been faster; its key is as good, and is the one that is read.
        files::create_private(path, seed.expose().as_bytes())
            .map_err(|source| OperatorKeyError::File { path: path.to_owned(), source })?;
        Self::load(path)
    }

    /// Its public half.
    #[must_use]
    pub fn id(&self) -> OperatorId {
        OperatorId(self.0.public_key())
    }

    /// The signature, in hex.
    pub(super) fn sign(&self, text: &[u8]) -> String {
        // A key pair that was made or loaded has its private half; an empty signature would hold nowhere.
        self.0.sign(text).map(hex::encode).unwrap_or_default()
    }
}

/// An operator's public key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorId(String);

impl OperatorId {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn verify(&self, text: &[u8], signature: &str) -> Result<(), InvalidSignature> {
        let signature = hex::decode(signature).map_err(|_| InvalidSignature)?;
        let key = KeyPair::from_public_key(&self.0).map_err(|_| InvalidSignature)?;
        key.verify(text, &signature).map_err(|_| InvalidSignature)
    }
}

impl FromStr for OperatorId {
    type Err = InvalidOperatorId;

    fn from_str(text: &str) -> Result<Self, InvalidOperatorId> {
        match KeyPair::from_public_key(text) {
            Ok(key) if key.key_pair_type() == KeyPairType::User => Ok(Self(key.public_key())),
            _ => Err(InvalidOperatorId),
        }
    }
}

impl TryFrom<String> for OperatorId {
    type Error = InvalidOperatorId;
    fn try_from(text: String) -> Result<Self, InvalidOperatorId> {
        text.parse()
    }
}

impl From<OperatorId> for String {
    fn from(id: OperatorId) -> String {
        id.0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl schemars::JsonSchema for OperatorId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OperatorId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^U[A-Z2-7]{55}$", "description": "An operator's public Ed25519 key, as an NKey."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_kept_to_its_owner() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("operator.nk");
        assert!(matches!(OperatorKey::load(&path), Err(OperatorKeyError::Missing { .. })));
        let made = OperatorKey::load_or_create(&path).unwrap().id();
        assert_eq!(OperatorKey::load_or_create(&path).unwrap().id(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(OperatorKey::load(&path), Err(OperatorKeyError::File { .. })));
    }

    #[test]
    fn only_public_user_keys_are_operators() {
        let id = OperatorKey::generate().id();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        let account = KeyPair::new_account().public_key();
        for bad in ["", "U", &id.as_str()[1..], &account, &id.as_str().to_lowercase()] {
            assert_eq!(bad.parse::<OperatorId>(), Err(InvalidOperatorId), "{bad}");
        }
    }
}
