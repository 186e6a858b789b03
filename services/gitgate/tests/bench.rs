//! A judge that a story plays.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use gitgate::judging::{Judging, Passed, Refused};
use gitgate::progress::Progress;
use gitgate::push::Push;
use tokio::process::Command;
use tokio::sync::watch;

/// What it says to a push.
#[derive(Clone, Default)]
pub(crate) enum Verdict {
    #[default]
    Pass,
    Refuse(Refused),
    /// Waits until the story lets it go on, and lets the push through.
    Wait(watch::Receiver<bool>),
    /// Does this, and lets the push through.
    After(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Bench {
    verdict: Mutex<Verdict>,
    /// Every push, with the objects that were in quarantine.
    pub(crate) seen: Mutex<Vec<(Push, Vec<String>)>>,
    pub(crate) began: watch::Sender<usize>,
    /// How often a judge's future was dropped before its end.
    pub(crate) dropped: watch::Sender<usize>,
    pub(crate) expected: Mutex<Vec<String>>,
}

impl Bench {
    pub(crate) fn says(&self, verdict: Verdict) {
        *self.verdict.lock().unwrap() = verdict;
    }

    pub(crate) fn refuses(&self, reason: &str) {
        self.says(Verdict::Refuse(Refused {
            reason: reason.to_owned(),
            findings: Vec::new(),
            objects: Some(3),
        }));
    }

    /// The last push and its objects.
    pub(crate) fn last(&self) -> (Push, Vec<String>) {
        self.seen.lock().unwrap().last().expect("a push was judged").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Notes whether it is dropped before it is disarmed.
struct Guard<'a>(Option<&'a watch::Sender<usize>>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(dropped) = self.0 {
            dropped.send_modify(|count| *count += 1);
        }
    }
}

/// What stands for a secret here.
pub(crate) const SECRET: &str = "not-to-be-told";

impl Judging for Bench {
    fn is_harmless(&self, text: &str) -> bool {
        !text.contains(SECRET)
    }

    fn expect(&self, repo: &str) {
        self.expected.lock().unwrap().push(repo.to_owned());
    }

    fn judge<'a>(&'a self, push: &'a Push, progress: &'a Progress) -> BoxFuture<'a, Result<Passed, Refused>> {
        Box::pin(async move {
            let objects = match &push.quarantine {
                Some(quarantine) => objects(&push.mirror, quarantine).await,
                None => Vec::new(),
            };
            let count = objects.len() as u64;
            self.seen.lock().unwrap().push((push.clone(), objects));
            self.began.send_modify(|count| *count += 1);
            progress.say("the judge looks at it");
            let mut guard = Guard(Some(&self.dropped));
            let verdict = self.verdict.lock().unwrap().clone();
            let passed = match verdict {
                Verdict::Pass => Ok(Passed { objects: count }),
                Verdict::Refuse(refused) => Err(refused),
                Verdict::Wait(mut go) => {
                    go.wait_for(|go| *go).await.unwrap();
                    Ok(Passed { objects: count })
                }
                Verdict::After(work) => {
                    work().await;
                    Ok(Passed { objects: count })
                }
            };
            guard.0 = None;
            passed
        })
    }
}

/// What is in an object directory, and in no other.
async fn objects(mirror: &Path, quarantine: &Path) -> Vec<String> {
    let mut command = Command::new(crate::client::git());
    command.env("GIT_DIR", mirror).env("GIT_OBJECT_DIRECTORY", quarantine).stderr(Stdio::piped());
    command.args(["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let said = command.output().await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
}
