//! Step 7's part in commits: a running bottle's environment is kept, and its program goes on meanwhile (L8).

use std::path::Path;

use bus::layout::COMMITS;
use bus::message::Version;
use bus::message::commit::Committed;
use bus::message::record::{CommitImage, CommitRecord};
use tokio::sync::{Mutex, oneshot};

use super::Launch;
use crate::backend::Backend;
use crate::commit::{self, CommitNote, Order, Orders, Outcome, Packed};
use crate::image::Source;
use crate::plan::Plan;
use crate::record::Registered;

/// What is made of one order.
struct Commit<'a> {
    plan: &'a Plan,
    backend: &'a dyn Backend,
    order: &'a Order,
    archive: String,
}

impl Launch<'_> {
    /// Commits as it is told, one at a time, until the run is over.
    pub(super) async fn take_commits(
        &self,
        (plan, backend): (&Plan, &dyn Backend),
        registered: &Mutex<&mut Registered>,
        mut orders: Orders,
        mut is_over: oneshot::Receiver<()>,
    ) {
        loop {
            let order = tokio::select! {
                biased;
                _ = &mut is_over => return,
                order = orders.recv() => order,
            };
            let Some(order) = order else {
                // Nobody can order any more.
                let _ = is_over.await;
                return;
            };
            let archive = commit::archive_name(&plan.bottle, &order.id);
            let commit = Commit { plan, backend, order: &order, archive };
            let outcome = self.commit(&commit, registered).await;
            if let Err(reason) = &outcome {
                tracing::warn!(bottle = %plan.bottle, reason, "a bottle was not committed");
            }
            order.outcome.send_replace(Some(outcome));
        }
    }

    async fn commit(&self, commit: &Commit<'_>, registered: &Mutex<&mut Registered>) -> Outcome {
        let state = self.world.config.state().of(&commit.plan.bottle);
        let noted = CommitNote { request: commit.order.id.clone() }.store(&state);
        noted.map_err(|error| format!("the commit cannot be written down: {error}"))?;
        let at = self.world.clock.now();
        let before = registered.lock().await.commit().and_then(|before| before.image.clone());
        let made = tokio::select! {
            made = self.make(commit, before) => made,
            () = self.life.stopping() => Err("its launcher is stopping; nothing was committed".to_owned()),
        };
        let outcome = match made {
            Ok((image, packed)) => {
                self.note_commit(commit, record(commit, at, image, packed), registered).await
            }
            Err(reason) => {
                self.undo_commit(commit).await;
                Err(reason)
            }
        };
        if let Err(error) = CommitNote::forget(&state) {
            tracing::warn!(bottle = %commit.plan.bottle, error = base::error::chain(&error), "a commit's note stays");
        }
        outcome
    }

    /// The bottle's own image first: the archive is what tells that there is a commit. Another one is built when what the
    /// bottle has made is safe.
    async fn make(
        &self,
        commit: &Commit<'_>,
        before: Option<CommitImage>,
    ) -> Result<(Option<CommitImage>, Packed), String> {
        let Commit { plan, backend, order, archive } = commit;
        let image = backend.pin(&plan.bottle, archive).await;
        let mut image = image.map_err(|error| base::error::chain(&error))?;
        if image.is_none() && order.dockerfile.is_some() {
            let reason =
                format!("the backend {} makes bottles of no image, so none can be built", backend.name());
            return Err(reason);
        }
        let home = self.world.config.state().of(&plan.bottle).home();
        let limits = commit::limits(self.world.config.commit);
        let stored = (archive.as_str(), &order.id);
        let packed = commit::store(&self.bus, stored, (home, limits), order.progress.clone()).await;
        let packed = packed.map_err(|error| base::error::chain(&error))?;
        if let Some((source, dockerfile)) = another(commit, before) {
            let built = backend.rebuild(archive, source, dockerfile).await;
            image = Some(built.map_err(|error| base::error::chain(&error))?);
        }
        Ok((image, packed))
    }

    async fn note_commit(
        &self,
        commit: &Commit<'_>,
        kept: CommitRecord,
        registered: &Mutex<&mut Registered>,
    ) -> Outcome {
        let mut before = None;
        let recording = async {
            let mut registered = registered.lock().await;
            registered.change(|record| before = record.commit.replace(kept.clone())).await
        };
        // Should it be recorded all the same, or later, then nothing is missing that it names.
        recording.await.map_err(|error| {
            format!("its environment is stored, but its record cannot say so: {}", base::error::chain(&error))
        })?;
        // One that it began with belongs to the bottle that was committed.
        if let Some(before) = before.filter(|before| before.bottle == commit.plan.bottle) {
            self.remove_commit(commit.backend, &before.archive).await;
        }
        let at = self.world.clock.now();
        let committed =
            Committed { v: Version, bottle: commit.plan.bottle.clone(), commit: kept.clone(), at };
        if let Err(error) = self.tell(&committed).await {
            tracing::warn!(bottle = %kept.bottle, error = base::error::chain(&error), "a commit was not told");
        }
        tracing::info!(bottle = %kept.bottle, archive = kept.archive, size = kept.size, "the bottle is committed");
        Ok(kept)
    }

    async fn undo_commit(&self, commit: &Commit<'_>) {
        let abandoned = self.bus.objects(COMMITS).abandon(&commit.archive, &commit.order.id).await;
        if let Err(error) = abandoned {
            tracing::warn!(
                archive = commit.archive,
                error = base::error::chain(&error),
                "pieces of a commit stay"
            );
        }
        self.unpin(commit.backend, &commit.archive).await;
    }

    async fn remove_commit(&self, backend: &dyn Backend, archive: &str) {
        if let Err(error) = self.bus.objects(COMMITS).delete(archive).await {
            tracing::warn!(
                archive,
                error = base::error::chain(&error),
                "an earlier commit stays for its 30 days"
            );
        }
        self.unpin(backend, archive).await;
    }

    async fn unpin(&self, backend: &dyn Backend, archive: &str) {
        if let Err(error) = backend.unpin(archive).await {
            tracing::warn!(
                archive,
                error = base::error::chain(&error),
                "the image of a commit keeps its name"
            );
        }
    }
}

/// What a resume is to be made of instead of what the bottle is, with its Dockerfile: an approved one, now or before.
fn another(commit: &Commit<'_>, before: Option<CommitImage>) -> Option<(Source, String)> {
    if let Some(text) = commit.order.dockerfile.clone() {
        let own = commit.plan.dockerfile().map(Path::to_owned);
        return Some((Source::Text { text: text.clone(), own }, text));
    }
    let CommitImage { id, name, dockerfile, .. } = before?;
    Some((Source::Pinned { id, name }, dockerfile?))
}

fn record(
    commit: &Commit<'_>,
    at: jiff::Timestamp,
    image: Option<CommitImage>,
    Packed { contents, size }: Packed,
) -> CommitRecord {
    CommitRecord {
        bottle: commit.plan.bottle.clone(),
        archive: commit.archive.clone(),
        at,
        entries: contents.files + contents.directories + contents.links,
        bytes: contents.bytes,
        size,
        skipped: contents.skipped,
        torn: contents.torn,
        image,
    }
}
