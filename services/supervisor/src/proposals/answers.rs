//! `proposal.get` and `proposal.withdraw`: a bottle about its own.

use base::error::chain;
use base::id::{ProposalId, Slug};
use bus::message::Request;
use bus::message::proposal::{Outcome, ProposalGet, ProposalRecord, ProposalState, Standing, Withdraw};
use bus::{Bus, BusError, Delivery, Subscription};

use super::{Proposals, life};

/// Answers until the connection is closed.
pub(crate) async fn gets(proposals: Proposals, mut asked: Subscription<ProposalGet>) {
    while let Some(request) = next(&proposals, &mut asked).await {
        let standing = match &request.message {
            Ok(get) => proposals.standing(&get.bottle, &get.proposal).await,
            Err(malformed) => Err(unreadable(malformed.clone())),
        };
        answer(&request, standing).await;
    }
}

/// Answers until the connection is closed.
pub(crate) async fn withdrawals(proposals: Proposals, mut asked: Subscription<Withdraw>) {
    while let Some(request) = next(&proposals, &mut asked).await {
        let bus = proposals.bus.with_trace(request.trace);
        let standing = match &request.message {
            Ok(withdraw) => proposals.withdraw(&bus, &withdraw.bottle, &withdraw.proposal).await,
            Err(malformed) => Err(unreadable(malformed.clone())),
        };
        answer(&request, standing).await;
    }
}

async fn next<R: Request>(proposals: &Proposals, asked: &mut Subscription<R>) -> Option<Delivery<R>> {
    let next = tokio::select! {
        next = asked.next() => next,
        () = proposals.life.stopping() => return None,
    };
    next.inspect_err(|error| tracing::error!(error = chain(error), "bottles are not answered any more")).ok()
}

/// No answer is given to what cannot be read or looked up: who asks, asks again.
async fn answer<R: Request<Reply = Standing>>(request: &Delivery<R>, standing: Result<Standing, BusError>) {
    let answered = match standing {
        Ok(standing) => request.answer(&standing).await,
        Err(error) => Err(error),
    };
    if let Err(error) = answered {
        tracing::warn!(error = chain(&error), "a bottle's question was not answered");
    }
}

fn unreadable(malformed: bus::Malformed) -> BusError {
    BusError::Malformed { doing: "reading a request".to_owned(), malformed }
}

impl Proposals {
    async fn standing(&self, bottle: &Slug, id: &ProposalId) -> Result<Standing, BusError> {
        let found = self.book.lock().await.get(id).await?;
        Ok(found
            .filter(|record| record.bottle == *bottle)
            .map_or(Standing::Unknown, |record| standing(&record)))
    }

    async fn withdraw(&self, bus: &Bus, bottle: &Slug, id: &ProposalId) -> Result<Standing, BusError> {
        let mut book = self.book.lock().await;
        let Some(record) = book.get(id).await?.filter(|record| record.bottle == *bottle) else {
            return Ok(Standing::Unknown);
        };
        let Some(over) = life::lapsed(&record, Outcome::Withdrawn, None, self.clock.now()) else {
            return Ok(standing(&record));
        };
        book.finish(bus, over.clone()).await?;
        Ok(standing(&over))
    }
}

fn standing(record: &ProposalRecord) -> Standing {
    match &record.state {
        ProposalState::Resolved { resolved, .. } => Standing::Resolved { resolved: resolved.clone() },
        ProposalState::Pending { .. } | ProposalState::Applying { .. } => {
            let (proposal, count, until) = (record.proposal.clone(), record.count, record.until);
            Standing::Pending { proposal, count, until }
        }
    }
}
