//! A bare copy of one upstream repository, brought up to date before it is shown (G3). It is upstream's as of a moment ago,
//! or it is not shown at all.

mod listing;
mod sync;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::lifecycle::Lifecycle;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::commands::Format;
use crate::git::Git;
use crate::object::ObjectId;
use crate::reference::RefName;
use crate::upstream::Upstream;
use sync::Sync;

/// Questions that wait for one look at upstream.
const WAITING: usize = 256;

/// What upstream has, as of one look at it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// How its objects are named.
    pub(crate) format: Format,
    /// Every ref, by its full name. Some may have names that no push may have.
    pub(crate) refs: BTreeMap<String, ObjectId>,
    /// The branch that `HEAD` names.
    pub(crate) default_branch: Option<RefName>,
    /// When the look began.
    since: Instant,
}

/// Why a repository cannot be shown. The text is for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stale {
    /// Upstream cannot be reached, or does not let the gate in.
    #[error("upstream did not answer, so nothing of {repo} is shown or taken: {reason}")]
    Upstream {
        /// The repository.
        repo: String,
        /// Why, inert.
        reason: String,
    },
    /// It takes longer than a client waits.
    #[error("{repo} is still being fetched from upstream ({progress}); try again in a moment")]
    Busy {
        /// The repository.
        repo: String,
        /// How far it is, inert.
        progress: String,
    },
    /// The gate ends.
    #[error("the git gate is stopping")]
    Stopping,
}

type Answer = Result<Arc<View>, Stale>;

/// See the module.
pub(crate) struct Mirror {
    pub(crate) repo: String,
    pub(crate) path: PathBuf,
    pub(crate) upstream: Arc<Upstream>,
    /// Held by whoever moves refs in it.
    pub(crate) moving: Arc<Mutex<()>>,
    asks: mpsc::Sender<oneshot::Sender<Answer>>,
    latest: watch::Receiver<Option<Arc<View>>>,
    progress: watch::Receiver<String>,
}

impl Mirror {
    /// Begins to copy, and goes on looking at upstream as often as it is asked to.
    pub(crate) fn open(
        repo: &str,
        directory: &Path,
        git: Git,
        upstream: Upstream,
        within: Duration,
        life: &Lifecycle,
    ) -> Self {
        let (asks, asked) = mpsc::channel(WAITING);
        let (seen, latest) = watch::channel(None);
        let (told, progress) = watch::channel("waiting for upstream".to_owned());
        let (upstream, moving) = (Arc::new(upstream), Arc::new(Mutex::new(())));
        // In a directory of its own, since names of repositories have dots in them as well.
        let path = directory.join(repo).join("git");
        let sync = Sync {
            path: path.clone(),
            git,
            upstream: Arc::clone(&upstream),
            within,
            moving: Arc::clone(&moving),
            told,
        };
        life.spawn_essential(keep(repo.to_owned(), sync, asked, seen, life.clone()));
        Self { repo: repo.to_owned(), path, upstream, moving, asks, latest, progress }
    }

    /// What upstream has, no longer ago than `age`. It is waited for as long as `patience`; the look goes on after that.
    ///
    /// # Errors
    /// [`Stale`]
    pub(crate) async fn fresh(&self, age: Duration, patience: Duration) -> Answer {
        let latest = self.latest.borrow().clone();
        if let Some(view) = latest.filter(|view| view.since.elapsed() <= age) {
            return Ok(view);
        }
        let (ask, answer) = oneshot::channel();
        let look = async {
            self.asks.send(ask).await.map_err(|_| Stale::Stopping)?;
            answer.await.map_err(|_| Stale::Stopping)?
        };
        match timeout(patience, look).await {
            Ok(answer) => answer,
            Err(_) => Err(Stale::Busy { repo: self.repo.clone(), progress: self.progress.borrow().clone() }),
        }
    }
}

/// Looks at upstream at once, and then once for all who asked since the last look began.
async fn keep(
    repo: String,
    sync: Sync,
    mut asked: mpsc::Receiver<oneshot::Sender<Answer>>,
    seen: watch::Sender<Option<Arc<View>>>,
    life: Lifecycle,
) {
    let mut waiting: Vec<oneshot::Sender<Answer>> = Vec::new();
    loop {
        let since = Instant::now();
        let looked = tokio::select! {
            looked = sync.run() => looked,
            () = life.stopping() => return,
        };
        let answer = match looked {
            Ok(look) => Ok(Arc::new(View {
                format: look.format,
                refs: look.refs,
                default_branch: look.default_branch,
                since,
            })),
            Err(error) => {
                let reason = base::inert(&format!("{error:#}"), 2000);
                tracing::warn!(repo, reason, "upstream cannot be looked at");
                Err(Stale::Upstream { repo: repo.clone(), reason })
            }
        };
        // After a look that failed, the one before is no longer the latest.
        seen.send_replace(answer.as_ref().ok().cloned());
        for ask in waiting.drain(..) {
            // Who asked may be gone.
            let _ = ask.send(answer.clone());
        }
        tokio::select! {
            ask = asked.recv() => match ask {
                Some(ask) => waiting.push(ask),
                None => return life.stopping().await,
            },
            () = life.stopping() => return,
        }
        while let Ok(ask) = asked.try_recv() {
            waiting.push(ask);
        }
    }
}
