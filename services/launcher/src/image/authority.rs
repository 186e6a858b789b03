//! One more authority to trust while an image is built, as networks that inspect TLS need.

use std::io;
use std::path::{Path, PathBuf};

const LARGEST: u64 = 1 << 20;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PRIVATE: &str = "PRIVATE KEY-----";

/// Certificates (PEM) that builds trust beside those of the image. They stay in what is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraAuthority(String);

/// A file that holds no certificates.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It cannot be read.
    #[error("cannot read the authority for image builds, {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds something else, or a private key with them.
    #[error("{} does not hold certificates only, in PEM: name another as `images.extra_ca` in settings.yaml", .0.display())]
    NoCertificates(PathBuf),
}

impl ExtraAuthority {
    /// Reads a file. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or holds no certificates.
    pub fn read(path: &Path) -> Result<Self, AuthorityError> {
        let unreadable = |source| AuthorityError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, LARGEST + 1), &mut text).map_err(unreadable)?;
        Self::parse(&text).ok_or_else(|| AuthorityError::NoCertificates(path.to_owned()))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() as u64 <= LARGEST)?;
        let good = text.contains(BEGIN) && !text.contains(PRIVATE);
        good.then(|| Self(text.to_owned()))
    }

    pub(super) fn pem(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_never_taken_for_certificates() {
        let certificate = format!("{BEGIN}\nMIIB\n-----END CERTIFICATE-----\n");
        assert!(ExtraAuthority::parse(certificate.as_bytes()).is_some());
        for wrong in ["", "hello", &format!("{certificate}-----BEGIN {PRIVATE}\n")] {
            assert_eq!(ExtraAuthority::parse(wrong.as_bytes()), None);
        }
    }
}
