//! `proposal.decide`: an operator's answer, judged and applied.

use std::sync::Arc;

use base::error::chain;
use base::id::BottleName;
use bus::layout::{BOTTLES, PROPOSALS};
use bus::message::proposal::{Decide, DecideRefusal, DecideReply, ProposalRecord, Proposed};
use bus::{Bus, BusError, Delivery, Since, Subscription};
use policy::EgressPolicy;
use tokio::sync::Semaphore;

use super::Proposals;
use super::verdict::{Facts, Next, decide};
use crate::operators;
use crate::store::Store;

/// How many answers may be in hand at once; the next ones wait on the bus.
const AT_ONCE: usize = 64;

/// Answers until the connection is closed or a stop was asked for. What is in hand at a stop is gone on with by the
/// next supervisor.
pub(crate) async fn serve(proposals: Proposals, mut asked: Subscription<Decide>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let request = tokio::select! {
            request = asked.next() => request,
            () = proposals.life.stopping() => return,
        };
        match request {
            Ok(request) => {
                let proposals = proposals.clone();
                proposals.life.clone().spawn(async move {
                    proposals.answer(&request).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "proposal.decide is not answered any more");
                return;
            }
        }
    }
}

impl Proposals {
    async fn answer(&self, request: &Delivery<Decide>) {
        let reply = match &request.message {
            Ok(asked) => {
                let bus = self.bus.with_trace(request.trace);
                // What is stored is stored, and gone on with; whoever asks again is told how it stands.
                self.decided(bus, asked)
                    .await
                    .unwrap_or_else(|error| refused(DecideRefusal::ApplyFailed { reason: chain(&error) }))
            }
            Err(malformed) => refused(DecideRefusal::Malformed { reason: malformed.to_string() }),
        };
        tracing::info!(trace = request.trace.id(), ?reply, "decision");
        if let Err(error) = request.answer(&reply).await {
            tracing::warn!(error = chain(&error), "an operator was not answered");
        }
    }

    async fn decided(&self, mut bus: Bus, asked: &Decide) -> Result<DecideReply, BusError> {
        let next = {
            let mut book = self.book.lock().await;
            let Some(record) = book.get(&asked.proposal).await?.filter(|r| r.proposal == asked.proposal)
            else {
                return Ok(refused(DecideRefusal::UnknownProposal));
            };
            let next = match self.judged(&bus, &record, asked).await? {
                Ok(next) => next,
                Err(why) => return Ok(refused(why)),
            };
            bus = self.bus_of(&record).await.unwrap_or(bus);
            match &next {
                Next::Over(record) => book.finish(&bus, record.clone()).await?,
                Next::Apply(record) => book.write(record.clone()).await?,
            }
            next
        };
        match next {
            Next::Over(record) => Ok(super::apply::resolved(&record)),
            Next::Apply(record) => self.apply(&bus, &record.proposal).await,
        }
    }

    /// The connection for what follows from an answer: it belongs to the trace of the proposal, as that does to its bottle's.
    /// None if the stream does not have it any more.
    async fn bus_of(&self, record: &ProposalRecord) -> Option<Bus> {
        let since = Since::Sequence(record.sequence.saturating_sub(1));
        let subject = format!("proposal.new.{}", record.bottle);
        let mut made = self.bus.follow::<Proposed>(PROPOSALS, &subject, since).await.ok()?;
        let found = made.stored().await.ok()??;
        (found.sequence == record.sequence).then(|| self.bus.with_trace(found.trace))
    }

    async fn judged(
        &self,
        bus: &Bus,
        record: &ProposalRecord,
        asked: &Decide,
    ) -> Result<Result<Next, DecideRefusal>, BusError> {
        let operators = match operators::read(&self.home) {
            Ok(operators) => operators,
            Err(error) => return Ok(Err(DecideRefusal::NotApplicable { reason: chain(&error) })),
        };
        let store = Store::new(bus);
        let current = store.current(&record.bottle).await?;
        let shown = match &current {
            Some(current) if current.revision != asked.base => self.shown(&store, record, asked.base).await?,
            _ => None,
        };
        let file = self.file_of(record).await?;
        let facts = Facts {
            now: self.clock.now(),
            operators: &operators,
            current: current.as_ref(),
            shown: shown.as_ref(),
            file: file.as_ref(),
        };
        Ok(decide(record, asked, &facts))
    }

    async fn shown(
        &self,
        store: &Store,
        record: &ProposalRecord,
        base: u64,
    ) -> Result<Option<EgressPolicy>, BusError> {
        let history = store.history(&record.bottle).await?;
        Ok(history.into_iter().find(|old| old.revision == base).map(|old| old.policy))
    }

    /// The file that decides last for the bottle, and next to which its grants are kept.
    pub(super) async fn file_of(&self, record: &ProposalRecord) -> Result<Option<BottleName>, BusError> {
        let recorded = self.bus.bucket(&BOTTLES).get(record.bottle.as_str()).await?;
        Ok(recorded.and_then(|recorded| recorded.value.bottles.last().cloned()))
    }
}

pub(super) fn refused(why: DecideRefusal) -> DecideReply {
    DecideReply::Refused { why }
}
