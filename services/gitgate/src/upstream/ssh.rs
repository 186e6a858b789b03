//! What `ssh` reads instead of anybody's own settings: one host key, one way to log in, and nothing else.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, bail};
use base::Secret;
use base::lifecycle::Lifecycle;
use ssh_key::{Algorithm, PublicKey};

use super::key::Key;
use super::sharing::SOCKET;
use super::{SSH_CONFIG, SSH_PROGRAM, agent, call};

/// Under this name the pinned key is known, whatever the host is called and whichever port it has.
const ALIAS: &str = "upstream";
const KNOWN_HOSTS: &str = "known_hosts";
const AGENT: &str = "agent";

/// Writes the files and serves the key. What `git` is told in its environment.
///
/// # Errors
/// A host key or a private key that cannot be used; a file that cannot be written.
pub(super) fn prepare(
    place: &Path,
    program: &Path,
    helper: &Path,
    host_key: &str,
    key: &Secret,
    life: &Lifecycle,
) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let pinned = PublicKey::from_openssh(host_key)
        .with_context(|| format!("reading the host_key {}", base::inert(host_key, 100)))?;
    let key = Key::read(key).context("reading the private key")?;
    let line = PublicKey::new(pinned.key_data().clone(), "").to_openssh()?;
    write(&place.join(KNOWN_HOSTS), &format!("{ALIAS} {line}\n"))?;
    write(&place.join(SSH_CONFIG), &config(place, host_key_algorithms(&pinned.algorithm()))?)?;
    let real = place.join(SSH_PROGRAM);
    symlink(program, &real).with_context(|| format!("making {}", real.display()))?;
    agent::serve(&place.join(AGENT), key, life)?;
    let call = call(place, helper, "ssh")?;
    Ok(vec![("GIT_SSH", call.into()), ("GIT_SSH_VARIANT", "ssh".into())])
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// The signatures that a server can make with such a key.
fn host_key_algorithms(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "rsa-sha2-512,rsa-sha2-256",
        other => other.as_str(),
    }
}

/// `GIT_PROTOCOL` must be named here as well as by git, or the shared connection does not pass it on and git speaks the
/// oldest protocol.
fn config(place: &Path, algorithms: &str) -> anyhow::Result<String> {
    let Some(place) = place.to_str().filter(|place| !place.contains(['"', '%', '\\', '\n'])) else {
        bail!("{} cannot be written into ssh's settings; choose a plain TMPDIR", place.display());
    };
    Ok(format!(
        "Host *
BatchMode yes
HostKeyAlias {ALIAS}
HostKeyAlgorithms {algorithms}
StrictHostKeyChecking yes
UserKnownHostsFile \"{place}/{KNOWN_HOSTS}\"
GlobalKnownHostsFile none
CheckHostIP no
UpdateHostKeys no
VerifyHostKeyDNS no
CanonicalizeHostname no
IdentityAgent \"{place}/{AGENT}\"
IdentityFile none
PreferredAuthentications publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
GSSAPIAuthentication no
HostbasedAuthentication no
ForwardAgent no
ForwardX11 no
ClearAllForwardings yes
PermitLocalCommand no
ProxyCommand none
ControlMaster no
ControlPath \"{place}/{SOCKET}\"
ControlPersist no
SendEnv GIT_PROTOCOL
RequestTTY no
ConnectionAttempts 1
ConnectTimeout 20
ServerAliveInterval 15
ServerAliveCountMax 4
TCPKeepAlive yes
LogLevel ERROR
"
    ))
}
