//! A real OpenSSH server on a free port of the loopback, which serves a directory of repositories to one key.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::Secret;
use gitgate::config::{Access, RepoConfig};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// See the module. It ends with all its connections when it is dropped.
pub(crate) struct Sshd {
    home: tempfile::TempDir,
    port: u16,
    host_key: String,
    key: String,
    user: String,
    connections: Arc<AtomicUsize>,
    task: Option<JoinSet<()>>,
}

fn program() -> PathBuf {
    let path = PathBuf::from("/usr/sbin/sshd");
    assert!(path.exists(), "{} is missing: run deploy/tools/prerequisites test", path.display());
    path
}

/// A private key as OpenSSH writes it.
pub(crate) fn key() -> PrivateKey {
    PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap()
}

fn written(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).unwrap().to_string()
}

impl Sshd {
    pub(crate) async fn start() -> Self {
        Self::with_key(&written(&key()), key().public_key()).await.let_in_its_own().await
    }

    /// A server that lets in a key which `ssh-keygen` made.
    pub(crate) async fn with_kind(kind: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-t", kind, "-f"]).arg(&path).stdin(Stdio::null());
        assert!(command.status().await.unwrap().success());
        let key = std::fs::read_to_string(&path).unwrap();
        let public = std::fs::read_to_string(home.path().join("key.pub")).unwrap();
        let public = ssh_key::PublicKey::from_openssh(&public).unwrap();
        Self::with_key(&key, &public).await
    }

    async fn let_in_its_own(mut self) -> Self {
        let own = key();
        self.key = written(&own);
        self.let_in(own.public_key());
        self
    }

    fn let_in(&self, public: &ssh_key::PublicKey) {
        let serve = self.home.path().join("serve").display().to_string();
        let line = format!("command=\"{serve}\",restrict {}\n", public.to_openssh().unwrap());
        std::fs::write(self.home.path().join("authorized_keys"), line).unwrap();
    }

    async fn with_key(key_text: &str, public: &ssh_key::PublicKey) -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = key();
        let place = |name: &str| home.path().join(name);
        std::fs::write(place("host"), written(&host)).unwrap();
        std::fs::set_permissions(place("host"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(place("serve"), serve(home.path())).unwrap();
        std::fs::set_permissions(place("serve"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(place("config"), config(home.path())).unwrap();
        if rustix::process::geteuid().is_root() {
            // Where it locks in its unprivileged half; only a running system makes it.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let user = Command::new("id").arg("-un").output().await.unwrap().stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (settings, counted) = (place("config"), Arc::clone(&connections));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let stream = std::os::fd::OwnedFd::from(stream);
                let mut command = Command::new(program());
                command.arg("-i").arg("-f").arg(&settings).kill_on_drop(true);
                command.stdin(stream.try_clone().unwrap()).stdout(stream).stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                drop(command);
                sessions.spawn(async move { drop(child.wait().await) });
                while sessions.try_join_next().is_some() {}
            }
        });
        let host_key = host.public_key().to_openssh().unwrap();
        let key = key_text.to_owned();
        let sshd = Self { home, port, host_key, key, user, connections, task: Some(task) };
        sshd.let_in(public);
        sshd
    }

    pub(crate) fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// The repository as a gate is told of it.
    pub(crate) fn repo(&self, path: &Path) -> RepoConfig {
        self.repo_with(path, &self.host_key, &self.key)
    }

    /// The same with another host key, or another private key.
    pub(crate) fn repo_with(&self, path: &Path, host_key: &str, key: &str) -> RepoConfig {
        let access = Access::Ssh { host_key: host_key.to_owned(), key: Secret::new(key.to_owned()) };
        RepoConfig { url: self.url(path), access }
    }

    pub(crate) fn host_key(&self) -> &str {
        &self.host_key
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// How many times somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The calls of git that were served.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.home.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// Nobody answers any more, and what goes on is cut off.
    pub(crate) async fn go_away(&mut self) {
        if let Some(mut task) = self.task.take() {
            task.shutdown().await;
        }
    }
}

/// What a login runs: git's own restricted shell, after a note of what was asked for.
fn serve(home: &Path) -> String {
    let calls = home.join("calls").display().to_string();
    format!(
        "#!/bin/sh\necho \"$GIT_PROTOCOL $SSH_ORIGINAL_COMMAND\" >> {calls}\nexec git-shell -c \"$SSH_ORIGINAL_COMMAND\"\n"
    )
}

fn config(home: &Path) -> String {
    let home = home.display();
    format!(
        "HostKey {home}/host
AuthorizedKeysFile {home}/authorized_keys
StrictModes no
UsePAM no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PidFile none
AcceptEnv GIT_PROTOCOL
"
    )
}
