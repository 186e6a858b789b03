//! `policy.change`: the next revision, stored, pushed and confirmed.

use std::sync::Arc;
use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::message::revision::{Confirm, PolicyChange, PolicyChangeReply, PolicyRevision};
use bus::{Bus, BusError, Delivery, Subscription};
use telemetry::{Kind, Open, Tracer};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::Instant;

use crate::revision::{Next, Word, word};
use crate::running::Heard;
use crate::store::Store;

/// What changes need.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) bus: Bus,
    pub(crate) heard: broadcast::Sender<Heard>,
    pub(crate) confirm_within: Duration,
    pub(crate) tracer: Tracer,
    pub(crate) life: Lifecycle,
}

/// How many changes may wait for their sidecars at once; the next ones wait on the bus.
const AT_ONCE: u32 = 64;
/// How often a revision is pushed again while it is not confirmed: the sidecar may just be coming back.
const PUSH_AGAIN: Duration = Duration::from_secs(1);

impl Changes {
    /// Takes changes until the connection is closed or a stop was asked for; returns when those in hand are answered.
    pub(crate) async fn serve(self, asked: Subscription<PolicyChange>) {
        let slots = Arc::new(Semaphore::new(AT_ONCE as usize));
        self.take(asked, &slots).await;
        // Each change in hand holds one.
        let _all = slots.acquire_many(AT_ONCE).await;
    }

    async fn take(&self, mut asked: Subscription<PolicyChange>, slots: &Arc<Semaphore>) {
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let request = tokio::select! {
                request = asked.next() => request,
                () = self.life.stopping() => return,
            };
            match request {
                Ok(request) => {
                    let changes = self.clone();
                    self.life.spawn(async move {
                        changes.answer(&request).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "policy.change is not answered any more");
                    return;
                }
            }
        }
    }

    async fn answer(&self, request: &Delivery<PolicyChange>) {
        let mut span = self.tracer.open("policy.change", Kind::Server, request.trace);
        let reply = match &request.message {
            Ok(asked) => {
                span.set("bot_bottle.bottle", asked.bottle.as_str());
                let store = Store::new(&self.bus.with_trace(span.context()));
                // What is stored is stored: a failure after that is not told as a refusal.
                self.apply(&store, asked).await.unwrap_or_else(|error| {
                    let reason = format!("the revision could not be stored: {}", chain(&error));
                    PolicyChangeReply::Refused { reason }
                })
            }
            Err(malformed) => PolicyChangeReply::Refused { reason: malformed.to_string() },
        };
        note(&mut span, &reply);
        tracing::debug!(trace = request.trace.id(), ?reply, "policy change");
        if let Err(error) = request.answer(&reply).await {
            tracing::warn!(error = chain(&error), "the asker was not answered");
        }
    }

    async fn apply(&self, store: &Store, asked: &PolicyChange) -> Result<PolicyChangeReply, BusError> {
        // Heard from before the push, so that no word is missed.
        let heard = self.heard.subscribe();
        Ok(match store.change(asked).await? {
            Next::Conflict { current } => PolicyChangeReply::Conflict { current },
            Next::Invalid { reason } => PolicyChangeReply::Refused { reason },
            Next::Revision(revision) => match asked.confirm {
                Confirm::Stored => PolicyChangeReply::Stored { revision: revision.revision },
                Confirm::Running => self.confirmed(store, &revision, heard).await,
            },
        })
    }

    /// Pushes a stored revision until the sidecar says what it makes of it.
    pub(crate) async fn confirmed(
        &self,
        store: &Store,
        revision: &PolicyRevision,
        mut heard: broadcast::Receiver<Heard>,
    ) -> PolicyChangeReply {
        let number = revision.revision;
        let end = Instant::now() + self.confirm_within;
        while Instant::now() < end {
            if let Err(error) = store.push(revision).await {
                tracing::warn!(error = chain(&error), "a revision was not pushed");
            }
            let again = (Instant::now() + PUSH_AGAIN).min(end);
            match tokio::time::timeout_at(again, answered(&mut heard, revision)).await {
                Ok((Word::Runs, _)) => return PolicyChangeReply::Running { revision: number },
                Ok((Word::Refuses { reason }, restored)) => return refused(number, &reason, restored),
                Ok((Word::Passed | Word::Nothing, _)) => break,
                Err(_) => {}
            }
        }
        PolicyChangeReply::Unconfirmed { revision: number }
    }
}

/// The sidecar's first word about a revision, and what restored the old policy if it refused.
async fn answered(heard: &mut broadcast::Receiver<Heard>, revision: &PolicyRevision) -> (Word, Option<u64>) {
    loop {
        match heard.recv().await {
            Ok(said) if said.running.bottle == revision.bottle => {
                match word(&said.running, revision.revision) {
                    Word::Nothing => {}
                    word => return (word, said.restored),
                }
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return (Word::Nothing, None),
        }
    }
}

/// How a change ended, in one word. Why it did may quote what an agent proposed, and is for the asker.
fn note(span: &mut Open, reply: &PolicyChangeReply) {
    let (outcome, revision) = match reply {
        PolicyChangeReply::Running { revision } => ("running", Some(*revision)),
        PolicyChangeReply::Stored { revision } => ("stored", Some(*revision)),
        PolicyChangeReply::Unconfirmed { revision } => ("unconfirmed", Some(*revision)),
        PolicyChangeReply::Conflict { .. } => ("conflict", None),
        PolicyChangeReply::Refused { .. } => ("refused", None),
    };
    span.set("bot_bottle.outcome", outcome);
    if let Some(revision) = revision {
        span.set("bot_bottle.revision", revision);
    }
    if !matches!(outcome, "running" | "stored") {
        span.fail(outcome);
    }
}

fn refused(revision: u64, reason: &str, restored: Option<u64>) -> PolicyChangeReply {
    let reason = base::inert(reason, 500);
    let then = match restored {
        Some(restored) => format!("the old policy is back as revision {restored}"),
        None => "the sidecar keeps what it runs".to_owned(),
    };
    PolicyChangeReply::Refused {
        reason: format!("the sidecar refused revision {revision}: {reason}; {then}"),
    }
}
