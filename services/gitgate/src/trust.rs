//! Which authorities an HTTPS upstream's certificate may come from.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handover::sidecar::Uplink;

/// A file with the system's authorities and the operator's further ones; `None` where the system's alone are trusted, which
/// git finds by itself.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn bundle(uplink: &Uplink, run: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Some(further) = &uplink.authorities else { return Ok(None) };
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's authorities cannot be read");
    }
    let mut text = String::new();
    for certificate in found.certs {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(&certificate).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text.push_str(further);
    let path = run.join("authorities.pem");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(Some(path))
}
