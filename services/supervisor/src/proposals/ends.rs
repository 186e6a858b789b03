//! What ends by itself: proposals that nobody answers, and grants that hold once.

use std::time::Duration;

use base::error::chain;
use base::id::Slug;
use bus::layout::EVENTS;
use bus::message::egress::{Allowed, Log};
use bus::message::proposal::{Outcome, ProposalRecord, ProposalState};
use bus::{BusError, Since};
use jiff::ToSpan as _;

use super::leases::{lease, needed};
use super::{Proposals, life};
use crate::store::Store;

/// How exactly ends are kept.
const TICK: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(1);

/// Ends what is due, and tells what was not told, until a stop is asked for.
pub(crate) async fn clock(proposals: Proposals) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = proposals.life.stopping() => return,
        }
        if let Err(error) = proposals.due().await {
            tracing::warn!(error = chain(&error), "what is due is ended later");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Ends leases that were used, until the connection is closed.
pub(crate) async fn leases(proposals: Proposals) {
    loop {
        let ended = tokio::select! {
            ended = proposals.hear_of_use() => ended,
            () = proposals.life.stopping() => return,
        };
        match ended {
            Ok(never) => match never {},
            Err(error @ (BusError::Closed { .. } | BusError::Denied(_))) => {
                tracing::error!(error = chain(&error), "the use of grants is not heard any more");
                return;
            }
            Err(error) => tracing::warn!(error = chain(&error), "the use of grants is read again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Proposals {
    async fn due(&self) -> Result<(), BusError> {
        let now = self.clock.now();
        let mut book = self.book.lock().await;
        let unfinished: Vec<ProposalRecord> = book.unfinished().cloned().collect();
        for record in unfinished {
            match &record.state {
                ProposalState::Pending { .. } if record.until <= now => {
                    if let Some(over) = life::lapsed(&record, Outcome::Expired, None, now) {
                        book.finish(&self.bus, over).await?;
                    }
                }
                ProposalState::Resolved { told: false, .. } => book.tell(&self.bus, &record.proposal).await?,
                ProposalState::Resolved { lease: Some(lease), .. } if lease.until <= now => {
                    self.take_back(&mut book, &record).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn hear_of_use(&self) -> Result<std::convert::Infallible, BusError> {
        // Older than that, every lease is over.
        let since = Since::Time(self.clock.now() - super::apply::ONCE.minutes());
        let mut logs = self.bus.follow::<Log>(EVENTS, "egress.log.*", since).await?;
        loop {
            if let Ok(log) = logs.next().await?.message {
                self.used(&log.bottle, &log.lines).await?;
            }
        }
    }

    /// Ends the leases that one of these requests needed.
    async fn used(&self, bottle: &Slug, lines: &[Allowed]) -> Result<(), BusError> {
        let mut book = self.book.lock().await;
        let leased: Vec<_> = book.of(bottle).filter(|record| lease(record).is_some()).cloned().collect();
        if leased.is_empty() {
            return Ok(());
        }
        let Some(current) = Store::new(&self.bus).current(bottle).await? else { return Ok(()) };
        for record in leased {
            let Some((delta, granted_by, added)) = lease(&record) else { continue };
            let without = policy::revoke(&current.policy, delta, added);
            let is_used = lines.iter().any(|line| needed(delta, granted_by, &without, line));
            if is_used {
                self.take_back(&mut book, &record).await?;
            }
        }
        Ok(())
    }
}
