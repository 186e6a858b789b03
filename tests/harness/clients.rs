//! The real agent clients, as `deploy/tools/clients` installs them.

use std::path::{Path, PathBuf};

/// The program of claude.
#[must_use]
pub fn claude() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    installed(&format!("@anthropic-ai/claude-code-linux-{machine}/claude"))
}

/// The program of codex.
#[must_use]
pub fn codex() -> PathBuf {
    let (machine, triple) =
        if cfg!(target_arch = "aarch64") { ("arm64", "aarch64") } else { ("x64", "x86_64") };
    installed(&format!("@openai/codex-linux-{machine}/vendor/{triple}-unknown-linux-musl/bin/codex"))
}

/// The program of opencode.
#[must_use]
pub fn opencode() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    installed(&format!("opencode-linux-{machine}/bin/opencode"))
}

/// # Panics
/// When it is not there.
fn installed(program: &str) -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/clients/node_modules");
    let path = packages.join(program);
    path.canonicalize().unwrap_or_else(|error| {
        panic!("{}: {error}; run deploy/tools/clients, as `make test` does", path.display())
    })
}
