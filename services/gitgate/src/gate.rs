//! Config → build → run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base::accept::Listener;
use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::Bus;
use handover::gitgate::GateLimits;
use handover::spool::RECORDS;
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use crate::config::{Config, check_limits};
use crate::git::Git;
use crate::http::Front;
use crate::judging::Judging;
use crate::mirror::Mirror;
use crate::record::Recorder;
use crate::upstream::{Means, Upstream};
use crate::{forward, trust};

/// How old a look at upstream may be for the second request of one operation.
pub(crate) const FOLLOWING: Duration = Duration::from_secs(60);
/// How long a client waits for upstream, and for its turn, before it is told to try again. Tools that run git give up after
/// two minutes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Fetches of one bottle at once.
const FETCHES: usize = 8;

/// Everything that requests share.
pub(crate) struct Gate {
    pub(crate) bottle: Slug,
    pub(crate) git: Git,
    pub(crate) mirrors: BTreeMap<String, Arc<Mirror>>,
    pub(crate) judge: Arc<dyn Judging>,
    pub(crate) recorder: Recorder,
    pub(crate) limits: GateLimits,
    pub(crate) quarantines: PathBuf,
    pub(crate) fetches: Arc<Semaphore>,
    pub(crate) pushes: Arc<Semaphore>,
    pub(crate) life: Lifecycle,
    /// Sockets and settings that `git` and `ssh` are pointed to; removed with the gate.
    _run: TempDir,
}

impl Gate {
    /// The repository that a path names, with or without `.git`.
    pub(crate) fn mirror(&self, name: &str) -> Option<Arc<Mirror>> {
        let plain = || name.strip_suffix(".git").and_then(|name| self.mirrors.get(name));
        self.mirrors.get(name).or_else(plain).cloned()
    }

    /// How long a client may be silent.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.limits.idle_seconds)
    }

    /// How long one fetch or push may take.
    pub(crate) fn upstream(&self) -> Duration {
        Duration::from_secs(self.limits.upstream_seconds)
    }
}

/// A bottle's git gate, ready to run.
pub struct GitGate(Arc<Gate>);

/// Builds a gate. The first look at every upstream begins at once; nothing listens yet. `bus` is the connection as soon
/// as there is one.
///
/// # Errors
/// A limit, an address or a key that cannot be used, or a spool that cannot be written.
pub fn build(
    config: Config,
    judge: Arc<dyn Judging>,
    bus: watch::Receiver<Option<Bus>>,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<GitGate> {
    check_limits(&config.limits)?;
    if config.spool.to_str().is_none_or(|spool| spool.contains([':', '"', '\n'])) {
        bail!("the spool {} has a name that git takes for a list of several", config.spool.display());
    }
    let folder = |name: &str| prepare(&config.spool, name);
    let (mirrors, quarantines, home) = (folder("mirrors")?, empty(folder("quarantine")?)?, folder("home")?);
    let git = Git::new(config.git.clone(), home);
    let run = tempfile::Builder::new().prefix("gate.").tempdir().context("making a directory for sockets")?;
    let authorities =
        trust::bundle(&config.uplink, run.path()).context("gathering the trusted authorities")?;
    let means = Means {
        run: run.path(),
        helper: &config.helper,
        ssh: config.ssh.as_deref(),
        uplink: &config.uplink,
        authorities: authorities.as_deref(),
    };
    let recorder = Recorder::open(&folder(RECORDS)?, bus, clock, life)?;
    let within = Duration::from_secs(config.limits.upstream_seconds);
    let mut opened = BTreeMap::new();
    for (number, (name, repo)) in config.repos.iter().enumerate() {
        let upstream = Upstream::open(number, repo, &means, life);
        let upstream = upstream.with_context(|| format!("git-gate.repos.{name}"))?;
        let mirror = Mirror::open(name, &mirrors, git.clone(), upstream, within, life);
        opened.insert(name.clone(), Arc::new(mirror));
    }
    let gate = Arc::new(Gate {
        bottle: config.bottle,
        git,
        mirrors: opened,
        judge,
        recorder,
        fetches: Arc::new(Semaphore::new(FETCHES)),
        pushes: Arc::new(Semaphore::new(config.limits.pushes)),
        limits: config.limits,
        quarantines,
        life: life.clone(),
        _run: run,
    });
    forward::settle_all(&gate);
    Ok(GitGate(gate))
}

impl GitGate {
    /// Answers on these sockets until the lifecycle stops. Returns at once; the lifecycle owns the tasks.
    pub fn run(self, listeners: Vec<impl Into<Listener>>) {
        let front = Front::new(Arc::clone(&self.0));
        for listener in listeners.into_iter().map(Into::into) {
            self.0.life.spawn_essential(front.clone().serve(listener, self.0.life.clone()));
        }
    }
}

fn prepare(spool: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = spool.join(name);
    std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}

/// What an earlier process left in quarantine is nobody's any more.
fn empty(path: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::remove_dir_all(&path)
        .and_then(|()| std::fs::create_dir(&path))
        .with_context(|| format!("emptying {}", path.display()))?;
    Ok(path)
}
