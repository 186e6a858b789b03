//! `proposal.new`: from the stream into the book, in batches, so that a flood of equal ones costs few writes.

use std::collections::BTreeMap;
use std::time::Duration;

use base::error::chain;
use base::id::{ProposalId, Slug};
use bus::layout::{BOTTLES, PROPOSALS};
use bus::message::Version;
use bus::message::proposal::{Outcome, ProposalKind, ProposalRecord, Resolved, Taken as Answer};
use bus::message::record::BottleRecord;
use bus::{BusError, Follow, Record, Since, Trace};

use super::Proposals;
use super::arrival::Arrival;
use super::book::Book;
use super::take::{Stored, Taken, take};

/// How far apart in the stream the messages of a batch may be. A supervisor that was killed within a batch may have
/// stored its last message and not its first, so the next one goes back this far.
const SPAN: u64 = 256;
/// The backend whose bottles are made of images, as their records have it.
const DOCKER: &str = "docker";
const PAUSE: Duration = Duration::from_secs(1);

/// Takes what comes until the connection is closed. What was stored already is known again.
pub(crate) async fn run(proposals: Proposals) {
    loop {
        let ended = tokio::select! {
            ended = follow(&proposals) => ended,
            () = proposals.life.stopping() => return,
        };
        match ended {
            Ok(never) => match never {},
            Err(error @ (BusError::Closed { .. } | BusError::Denied(_))) => {
                tracing::error!(error = chain(&error), "proposals are not taken any more");
                return;
            }
            Err(error) => tracing::warn!(error = chain(&error), "proposals are read again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(proposals: &Proposals) -> Result<std::convert::Infallible, BusError> {
    let since = match proposals.book.lock().await.sequence() {
        Some(last) => Since::Sequence(last.saturating_sub(SPAN)),
        None => Since::Time(proposals.clock.now() - proposals.limits.wait),
    };
    let mut arrivals = proposals.bus.follow::<Arrival>(PROPOSALS, "proposal.new.*", since).await?;
    let mut left = None;
    loop {
        let batch = batch(&mut arrivals, &mut left).await?;
        proposals.take(batch).await?;
    }
}

/// The next message and those that are stored already. One that is too far off is left for the next batch.
async fn batch(
    arrivals: &mut Follow<Arrival>,
    left: &mut Option<Record<Arrival>>,
) -> Result<Vec<Record<Arrival>>, BusError> {
    let first = match left.take() {
        Some(left) => left,
        None => arrivals.next().await?,
    };
    let end = first.sequence + SPAN;
    let mut batch = vec![first];
    loop {
        match arrivals.stored().await {
            Ok(Some(record)) if record.sequence < end => batch.push(record),
            Ok(far) => {
                *left = far;
                return Ok(batch);
            }
            Err(BusError::Deadline { .. }) => return Ok(batch),
            Err(error) => return Err(error),
        }
    }
}

/// What a new proposal asks to change, as it is.
///
/// # Errors
/// The bottle cannot have what is asked for; the text is for the agent.
fn before(record: &ProposalRecord, bottle: &BottleRecord) -> Result<Option<String>, &'static str> {
    if !bottle.state.is_live() {
        return Err("the bottle is over");
    }
    if record.content.kind() != ProposalKind::Capability {
        return Ok(None);
    }
    if bottle.backend != DOCKER {
        return Err(
            "this bottle is made of no image, but of its host's own system, so no Dockerfile can change it; say what is \
             missing in your answer, for a person to install on the host",
        );
    }
    let of_resume = bottle.commit.as_ref().and_then(|commit| commit.image.as_ref()?.dockerfile.clone());
    Ok(of_resume.or_else(|| bottle.dockerfile.clone()))
}

/// What is told to whom asked.
enum Told {
    Waits(Answer),
    Refused(Resolved),
}

impl Proposals {
    async fn take(&self, batch: Vec<Record<Arrival>>) -> Result<(), BusError> {
        let mut told = Vec::new();
        let mut book = self.book.lock().await;
        let mut staged = BTreeMap::new();
        for record in batch {
            match record.message {
                Ok(arrival) => {
                    let stored = Stored { sequence: record.sequence, at: record.at };
                    let answer = self.taken(&book, &mut staged, &arrival, stored).await?;
                    told.extend(answer.map(|answer| (record.trace, answer)));
                }
                Err(malformed) => tracing::warn!(%malformed, "a proposal without a name is passed over"),
            }
        }
        for record in staged.into_values() {
            book.write(record).await?;
        }
        drop(book);
        self.tell(told).await
    }

    async fn taken(
        &self,
        book: &Book,
        staged: &mut BTreeMap<ProposalId, ProposalRecord>,
        arrival: &Arrival,
        stored: Stored,
    ) -> Result<Option<Told>, BusError> {
        let refused = |bottle: &Slug, proposal: &ProposalId, reason: String| {
            Some(Told::Refused(self.refused(bottle, proposal, reason)))
        };
        let asked = match arrival {
            Arrival::Proposed(asked) => asked,
            Arrival::Unreadable { bottle, proposal, reason } => {
                return Ok(refused(bottle, proposal, reason.clone()));
            }
        };
        let taken = {
            let unchanged = book.of(&asked.bottle).filter(|record| !staged.contains_key(&record.proposal));
            let changed = staged.values().filter(|record| record.bottle == asked.bottle);
            let known: Vec<_> = unchanged.chain(changed).collect();
            take(&known, asked, stored, &self.limits, self.clock.now())
        };
        let (bottle, proposal) = (&asked.bottle, &asked.proposal);
        Ok(match taken {
            Taken::Seen => None,
            Taken::Refused(reason) => refused(bottle, proposal, reason),
            Taken::Waits(mut record) => {
                if record.count == 1
                    && let Some(recorded) = self.bus.bucket(&BOTTLES).get(bottle.as_str()).await?
                {
                    match before(&record, &recorded.value) {
                        Ok(before) => record.before = before,
                        Err(reason) => return Ok(refused(bottle, proposal, reason.to_owned())),
                    }
                }
                let waits_as = record.proposal.clone();
                staged.insert(waits_as.clone(), *record);
                let (bottle, proposal) = (bottle.clone(), proposal.clone());
                Some(Told::Waits(Answer { v: Version, bottle, proposal, waits_as }))
            }
        })
    }

    fn refused(&self, bottle: &Slug, proposal: &ProposalId, reason: String) -> Resolved {
        Resolved {
            v: Version,
            bottle: bottle.clone(),
            proposal: proposal.clone(),
            outcome: Outcome::Refused,
            scope: None,
            revision: None,
            image: None,
            reason: Some(reason),
            at: self.clock.now(),
            decision: None,
        }
    }

    async fn tell(&self, told: Vec<(Trace, Told)>) -> Result<(), BusError> {
        for (trace, told) in told {
            let bus = self.bus.with_trace(trace);
            match told {
                Told::Waits(answer) => bus.announce(&answer).await?,
                Told::Refused(resolved) => drop(bus.publish(&resolved).await?),
            }
        }
        Ok(())
    }
}
