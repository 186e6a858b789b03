//! Proposals: taken from the bottles, answered by operators, applied and told (S2, S4, S9).
//!
//! ```text
//! proposal.new ─ intake ─▶ take() ─▶ pending ─ decide() ─▶ applying ─ policy confirmed ─▶ resolved ─▶ proposal.resolved
//!                                       │  ▲                  │
//!                       ends: expired,  │  └─ the sidecar ────┘
//!                       withdrawn, over ▼     refused
//!                                    resolved
//! ```
//!
//! All state is in the bucket `proposals`, one entry each, written by compare-and-set before anything follows from it.
//! Killed at any point, the next supervisor finds an approval that is being applied and goes on with it, and an end
//! that was not told and tells it.

mod answers;
mod apply;
mod arrival;
mod book;
mod build;
mod decisions;
mod ends;
mod intake;
mod leases;
mod life;
mod take;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::layout::BOTTLES;
use bus::message::Message as _;
use bus::message::proposal::{Decide, ProposalGet, ProposalRecord, ProposalState, Withdraw};
use bus::{Bus, BusError};
use tokio::sync::Mutex;

use crate::changes::Changes;
use book::Book;

pub use take::Limits;

/// What all of them share.
#[derive(Clone)]
pub(crate) struct Proposals {
    bus: Bus,
    book: Arc<Mutex<Book>>,
    changes: Changes,
    home: PathBuf,
    limits: Limits,
    clock: Clock,
    life: Lifecycle,
}

impl Proposals {
    /// Reads what is stored.
    pub(crate) async fn load(
        bus: &Bus,
        changes: &Changes,
        home: PathBuf,
        limits: Limits,
        life: &Lifecycle,
    ) -> Result<Self, BusError> {
        let book = Arc::new(Mutex::new(Book::load(bus).await?));
        let (bus, changes, life) = (bus.clone(), changes.clone(), life.clone());
        Ok(Self { bus, book, changes, home, limits, clock: Clock::System, life })
    }

    /// Starts all of it as tasks of the lifecycle, and goes on with what the supervisor before this one has left.
    pub(crate) async fn start(self) -> Result<(), BusError> {
        let decides = self.bus.subscribe::<Decide>(Decide::PATTERN).await?;
        let gets = self.bus.subscribe::<ProposalGet>(ProposalGet::PATTERN).await?;
        let withdrawals = self.bus.subscribe::<Withdraw>(Withdraw::PATTERN).await?;
        self.go_on().await?;
        let life = self.life.clone();
        life.spawn_essential(decisions::serve(self.clone(), decides));
        life.spawn_essential(answers::gets(self.clone(), gets));
        life.spawn_essential(answers::withdrawals(self.clone(), withdrawals));
        life.spawn_essential(ends::leases(self.clone()));
        life.spawn_essential(ends::clock(self.clone()));
        life.spawn_essential(intake::run(self));
        Ok(())
    }

    async fn go_on(&self) -> Result<(), BusError> {
        let unfinished: Vec<ProposalRecord> = self.book.lock().await.unfinished().cloned().collect();
        let mut bottles: Vec<&Slug> = unfinished.iter().map(|record| &record.bottle).collect();
        bottles.dedup();
        for bottle in bottles {
            let recorded = self.bus.bucket(&BOTTLES).get(bottle.as_str()).await?;
            if recorded.is_some_and(|recorded| !recorded.value.state.is_live()) {
                self.orphan(bottle).await?;
            }
        }
        for record in unfinished {
            if let ProposalState::Applying { .. } = record.state {
                self.apply_in_background(record.proposal);
            }
        }
        Ok(())
    }

    /// Ends everything of a bottle that is over.
    pub(crate) async fn orphan(&self, bottle: &Slug) -> Result<(), BusError> {
        let now = self.clock.now();
        let mut book = self.book.lock().await;
        let over: Vec<_> = book.of(bottle).filter_map(|record| life::orphaned(record, now)).collect();
        for record in over {
            book.finish(&self.bus, record).await?;
        }
        Ok(())
    }
}
