//! One SSH connection for several calls of `git`, so that each does not log in anew. The gate owns it, and closes it when
//! nobody has used it for a while; a call that finds none makes its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base::lifecycle::Lifecycle;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval, sleep};

use super::address::Login;
use super::{SSH_CONFIG, SSH_PROGRAM};
use crate::child::Group;

/// The socket over which calls reach the connection.
pub(super) const SOCKET: &str = "shared";
/// How long logging in may take; `ssh` itself gives up before.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the connection is there.
const LOOK: Duration = Duration::from_millis(5);
/// How long it rests before it is closed.
const REST: Duration = Duration::from_secs(60);
/// How often that is looked after.
const SWEEP: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Sharing {
    place: PathBuf,
    login: Login,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    group: Group,
    users: Arc<()>,
    used: Instant,
}

/// Keeps the connection from being closed.
pub(crate) struct Lease {
    _user: Option<Arc<()>>,
}

impl Lease {
    /// Where there is nothing to share.
    pub(super) fn none() -> Self {
        Self { _user: None }
    }
}

impl Sharing {
    /// A connection to be made, which is closed after its rest for as long as the lifecycle runs.
    pub(super) fn new(place: PathBuf, login: Login, life: &Lifecycle) -> Arc<Self> {
        let sharing = Arc::new(Self { place, login, connection: Mutex::new(None) });
        let (swept, stop) = (Arc::clone(&sharing), life.stop_token());
        life.spawn(async move {
            stop.run_until_cancelled(swept.sweep()).await;
            *swept.connection.lock().await = None;
        });
        sharing
    }

    /// Makes the connection unless it is there. Failing is no harm: the call that follows fails by itself, and says why.
    pub(super) async fn lease(&self) -> Lease {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_mut()
            && self.socket().exists()
            && matches!(open.group.child.try_wait(), Ok(None))
        {
            open.used = Instant::now();
            return Lease { _user: Some(Arc::clone(&open.users)) };
        }
        *connection = None;
        let Some(group) = self.open().await else { return Lease::none() };
        let users = Arc::new(());
        let lease = Lease { _user: Some(Arc::clone(&users)) };
        *connection = Some(Connection { group, users, used: Instant::now() });
        lease
    }

    fn socket(&self) -> PathBuf {
        self.place.join(SOCKET)
    }

    async fn open(&self) -> Option<Group> {
        // One that was killed leaves it.
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new(self.place.join(SSH_PROGRAM));
        command.env_clear().arg("-F").arg(self.place.join(SSH_CONFIG)).args(["-M", "-N", "-T"]);
        if let Some(port) = self.login.port {
            command.arg("-p").arg(port.to_string());
        }
        command.arg("--").arg(&self.login.destination);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut group = Group::start(&mut command).ok()?;
        let end = Instant::now() + PATIENCE;
        while !self.socket().exists() {
            if !matches!(group.child.try_wait(), Ok(None)) || Instant::now() > end {
                return None;
            }
            sleep(LOOK).await;
        }
        Some(group)
    }

    async fn sweep(&self) {
        let mut tick = interval(SWEEP);
        loop {
            tick.tick().await;
            let mut connection = self.connection.lock().await;
            if let Some(open) = connection.as_mut() {
                if Arc::strong_count(&open.users) > 1 {
                    open.used = Instant::now();
                } else if open.used.elapsed() > REST {
                    *connection = None;
                }
            }
        }
    }
}
