//! A real OpenSSH server on a free port of loopback, for one key.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use base::Secret;

const PROGRAM: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    process: Child,
    port: u16,
    user: String,
    settings: PathBuf,
    pub(crate) host_key: String,
    pub(crate) key: Secret,
}

impl Sshd {
    /// Starts it with keys of its own below `folder`.
    ///
    /// # Errors
    /// OpenSSH's server is not installed, or does not start.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        ensure!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: run `deploy/tools/prerequisites test`");
        let home = folder.join("ssh");
        std::fs::create_dir(&home)?;
        for name in ["host", "key"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(home.join(name));
            ensure!(command.status()?.success(), "ssh-keygen failed");
        }
        std::fs::copy(home.join("key.pub"), home.join("authorized_keys"))?;
        std::fs::set_permissions(home.join("key"), std::fs::Permissions::from_mode(0o600))?;
        if rustix::process::geteuid().is_root() {
            // Where it locks in its unprivileged half; only a running system makes it.
            std::fs::create_dir_all("/run/sshd")?;
        }
        let user = Command::new("id").arg("-un").output()?.stdout;
        let user = String::from_utf8(user)?.trim().to_owned();
        let port = free_port()?;
        std::fs::write(home.join("sshd"), server_settings(&home, port))?;
        let host_key = public(&home.join("host.pub"))?;
        let settings = home.join("client");
        std::fs::write(home.join("known"), format!("[127.0.0.1]:{port} {host_key}\n"))?;
        std::fs::write(&settings, client_settings(&home))?;
        let mut command = Command::new(PROGRAM);
        command.arg("-D").arg("-f").arg(home.join("sshd")).stderr(Stdio::null());
        let process = command.spawn().context("starting sshd")?;
        let key = Secret::new(std::fs::read_to_string(home.join("key"))?);
        let sshd = Self { process, port, user, settings, host_key, key };
        sshd.answers()?;
        Ok(sshd)
    }

    fn answers(&self) -> anyhow::Result<()> {
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        anyhow::bail!("sshd does not answer")
    }

    pub(crate) fn client_settings(&self) -> &Path {
        &self.settings
    }

    pub(crate) fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, repository.display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The type and text of a public key.
fn public(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned())
}

/// The login shell finds nothing to run first in the home that it is given; what this machine's own has is no forge's. A
/// session whose client is gone ends by itself.
fn server_settings(home: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized_keys\nStrictModes no\n\
         UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         PidFile none\nAcceptEnv GIT_PROTOCOL\nSetEnv HOME={home}\nClientAliveInterval 5\n\
         ClientAliveCountMax 1\n"
    )
}

fn client_settings(home: &Path) -> String {
    let home = home.display();
    format!(
        "Host *\n    IdentityFile {home}/key\n    IdentitiesOnly yes\n    UserKnownHostsFile {home}/known\n    \
         StrictHostKeyChecking yes\n    BatchMode yes\n    SendEnv GIT_PROTOCOL\n"
    )
}
