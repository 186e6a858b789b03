//! One lifecycle for every service: a soft stop, a hard stop, an owner for each task.
//!
//! ```text
//! running ──signal or task failure──▶ stopping ──all tasks done──▶ ended
//!                                        │
//!                                        └─second signal, or `grace` over──▶ forced ──▶ ended
//! ```

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bell::Bell;

/// The handle that a service's parts share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

/// Why a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop, and every task ended by itself.
    Clean,
    /// It was asked to stop, and some task had to be dropped.
    Forced,
    /// An essential task ended or failed by itself.
    Failed,
}

/// The exit code of a program that ran one service: success after a clean end only. What else came of it is logged.
#[must_use]
pub fn conclude(service: &str, outcome: Result<Ending, impl AsRef<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(Ending::Clean) => return ExitCode::SUCCESS,
        Ok(ending) => tracing::error!(service, ?ending, "the service did not end cleanly"),
        Err(error) => {
            tracing::error!(service, error = crate::error::chain(error.as_ref()), "the service cannot run");
        }
    }
    ExitCode::FAILURE
}

impl Lifecycle {
    /// A running lifecycle.
    #[must_use]
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        Self {
            soft: hard.child_token(),
            hard,
            tasks: TaskTracker::new(),
            failed: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Spawns a task that this lifecycle owns: it is dropped at the hard stop, and [`Lifecycle::run`] waits for it.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            let (mut task, mut cancelled) = (pin!(task), pin!(hard.cancelled()));
            // A busy task is polled for every packet; asking each time whether it is over would cost more than a lock.
            let bell = Bell::new();
            poll_fn(|cx| match bell.poll_woken(cx, |cx| cancelled.as_mut().poll(cx)) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => task.as_mut().poll(cx).map(Some),
            })
            .await
        })
    }

    /// Like [`Lifecycle::spawn`], for a loop that the service cannot live without: when it ends before a stop was
    /// asked for, by return or by panic, the whole service stops and reports failure.
    pub fn spawn_essential<F>(&self, task: F) -> tokio::task::JoinHandle<Option<()>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guard = EssentialGuard { lifecycle: self.clone() };
        self.spawn(async move {
            task.await;
            drop(guard);
        })
    }

    /// Completes when a stop has been asked for: finish what is in hand, take nothing new.
    pub async fn stopping(&self) {
        self.soft.cancelled().await;
    }

    /// Whether a stop has been asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// A token that is cancelled at the soft stop, for code that takes one.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Asks for the stop.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Asks for the stop at SIGTERM or SIGINT; the second signal forces it.
    ///
    /// # Errors
    /// The process cannot register signal handlers.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let this = self.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "it must outlive the hard stop, which it brings about"
        )]
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("stopping; a second signal forces it");
            this.stop();
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            this.hard.cancel();
        });
        Ok(())
    }

    /// Waits until the stop was asked for and every task has ended, at most `grace` long; then drops what is left.
    pub async fn run(&self, grace: Duration) -> Ending {
        self.stopping().await;
        self.tasks.close();
        let forced = tokio::select! {
            () = self.tasks.wait() => false,
            () = self.hard.cancelled() => true,
            () = tokio::time::sleep(grace) => true,
        };
        self.hard.cancel();
        self.tasks.wait().await;
        match (self.failed.load(Ordering::SeqCst), forced) {
            (true, _) => Ending::Failed,
            (false, true) => Ending::Forced,
            (false, false) => Ending::Clean,
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// Stops the service when an essential task is dropped before a stop was asked for.
struct EssentialGuard {
    lifecycle: Lifecycle,
}

impl Drop for EssentialGuard {
    fn drop(&mut self) {
        if !self.lifecycle.is_stopping() {
            self.lifecycle.failed.store(true, Ordering::SeqCst);
            self.lifecycle.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn tasks_finish_what_they_have_in_hand() {
        let life = Lifecycle::new();
        let (task_life, done) = (life.clone(), Arc::new(AtomicBool::new(false)));
        let finished = done.clone();
        life.spawn(async move {
            task_life.stopping().await;
            tokio::task::yield_now().await;
            finished.store(true, Ordering::SeqCst);
        });
        life.stop();
        assert_eq!(life.run(Duration::from_secs(60)).await, Ending::Clean);
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_dropped_after_the_grace() {
        let life = Lifecycle::new();
        life.spawn(std::future::pending::<()>());
        life.stop();
        assert_eq!(life.run(GRACE).await, Ending::Forced);
    }

    #[tokio::test]
    async fn the_end_of_an_essential_task_stops_the_service() {
        let life = Lifecycle::new();
        life.spawn_essential(async {});
        assert_eq!(life.run(GRACE).await, Ending::Failed);
    }

    #[tokio::test]
    async fn the_panic_of_an_essential_task_stops_the_service() {
        let life = Lifecycle::new();
        life.spawn_essential(async { panic!("on purpose") });
        assert_eq!(life.run(GRACE).await, Ending::Failed);
    }
}
