//! Everything that looks for secrets, put together once for a bottle.

use std::sync::Arc;

use base::Secret;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::decode::Shape;
use crate::finding::{Digest, Finding};
use crate::known::{Known, KnownSecrets};
use crate::rules::Rules;
use crate::window::{self, Room};

/// The outbound detectors with what they look for. Immutable; share it.
pub struct Detectors {
    pub(crate) rules: Arc<Rules>,
    pub(crate) known: KnownSecrets,
    key: Secret,
}

/// Which detectors look (E9). The canary is always looked for (E11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// Forms of tokens.
    pub token_patterns: bool,
    /// This bottle's own secrets.
    pub known_secrets: bool,
    /// Random-looking text; its findings warn only.
    pub entropy: bool,
}

impl Default for Enabled {
    /// What a route has that does not say otherwise.
    fn default() -> Self {
        Self { token_patterns: true, known_secrets: true, entropy: false }
    }
}

/// A text is nested so deeply in encodings that it cannot be judged within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is encoded in too many layers to be judged")]
pub struct TooComplex;

impl Detectors {
    /// `key` is what digests of found values are made with; make it at random for each process.
    #[must_use]
    pub fn new(rules: Arc<Rules>, known: Vec<Known>, key: Secret) -> Self {
        Self { rules, known: KnownSecrets::new(known), key }
    }

    /// All findings in a text that is there as a whole, in the order of their places.
    ///
    /// # Errors
    /// If it cannot be judged within bounds; refuse it.
    pub fn scan(&self, text: &[u8], enabled: Enabled, shape: &Shape) -> Result<Vec<Finding>, TooComplex> {
        Room::with(|room| window::scan(self, text, 0, enabled, shape, room))
    }

    /// Stands for `value`.
    pub(crate) fn digest(&self, value: &[u8]) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length (RFC 2104 section 3)"));
        mac.update(value);
        Digest(mac.finalize().into_bytes().into())
    }
}
