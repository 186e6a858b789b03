//! Brings what was put aside to the bus, as the bottles themselves: the bus takes nothing from them in another's name.

use std::io;
use std::path::Path;
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use bus::keys::{BottleMinter, KeysError};
use bus::message::Message;
use bus::message::{egress, push};
use bus::{Bus, BusError, Connect};
use futures::future::join_all;

use super::proxy::Waiting;
use super::{Shelf, gate};
use crate::record::{add_note, amend};

/// How long such an identity is valid.
const VALID: Duration = Duration::from_secs(600);
/// How long the bus may take to confirm one.
const CONFIRM: Duration = Duration::from_secs(5);
/// Messages on their way at once.
const WINDOW: usize = 64;

/// Who may do what.
pub(crate) struct Registry<'a> {
    /// Where the bus is.
    pub(crate) url: &'a str,
    pub(crate) minter: &'a BottleMinter,
    /// The launcher's own connection.
    pub(crate) bus: &'a Bus,
    pub(crate) clock: &'a Clock,
}

/// Why records still wait.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("an identity for its bottle cannot be made")]
    Key(#[from] KeysError),
    #[error("they cannot be read or put away")]
    Disk(#[from] io::Error),
}

/// What the bus will never know more of.
#[derive(Debug, Default)]
struct Lost {
    /// Records that it refused for good.
    refused: usize,
    /// Repositories with a push of which nobody heard the end.
    unheard: Vec<String>,
}

/// Brings everything that was put aside to the bus and removes it. What cannot be brought stays for the next time.
pub(crate) async fn deliver(shelf: &Shelf, registry: &Registry<'_>) {
    let bottles = match shelf.bottles() {
        Ok(bottles) => bottles,
        Err(error) => {
            tracing::warn!(%error, "records that were put aside cannot be found");
            return;
        }
    };
    for bottle in bottles {
        match bring(shelf, registry, &bottle).await {
            Ok(()) => tracing::info!(%bottle, "the records of a bottle that is gone are on the bus"),
            Err(error) => {
                tracing::warn!(%bottle, error = base::error::chain(&error), "the records of a bottle that is gone still wait");
            }
        }
    }
}

async fn bring(shelf: &Shelf, registry: &Registry<'_>, bottle: &Slug) -> Result<(), Undelivered> {
    let credentials = registry.minter.mint(bottle, VALID)?;
    let bus = Bus::connect(Connect::new(registry.url, credentials)).await?;
    let mut lost = Lost::default();
    let place = shelf.of(bottle);
    requests(&bus, &place.join(crate::egress::NAME), bottle, &mut lost).await?;
    pushes(&bus, &place.join(crate::gitgate::NAME), bottle, &mut lost).await?;
    if let Some(note) = lost.note() {
        tracing::error!(%bottle, note, "something is missing in the records of a bottle");
        amend((registry.bus, registry.clock), bottle, |record| add_note(record, &note)).await?;
    }
    Ok(shelf.remove(bottle).await?)
}

async fn requests(bus: &Bus, place: &Path, bottle: &Slug, lost: &mut Lost) -> Result<(), Undelivered> {
    let Some(mut waiting) = Waiting::open(place)? else { return Ok(()) };
    loop {
        let parcels = waiting.next(WINDOW)?;
        let is_own = |parcel: &&egress::Parcel| match parcel {
            egress::Parcel::Blocked(blocked) => blocked.bottle == *bottle,
            egress::Parcel::Log(log) => log.bottle == *bottle,
        };
        let published = parcels.iter().filter(is_own).map(async |parcel| match parcel {
            egress::Parcel::Blocked(blocked) => publish(bus, blocked.as_ref()).await,
            egress::Parcel::Log(log) => publish(bus, log).await,
        });
        for is_taken in join_all(published).await {
            lost.refused += usize::from(!is_taken?);
        }
        waiting.delivered()?;
        if parcels.is_empty() {
            return Ok(());
        }
    }
}

async fn pushes(bus: &Bus, place: &Path, bottle: &Slug, lost: &mut Lost) -> Result<(), Undelivered> {
    for kept in gate::waiting(place)? {
        let is_taken = match &kept.parcel {
            push::Parcel::Accepted(accepted) if accepted.bottle != *bottle => true,
            push::Parcel::Rejected(rejected) if rejected.bottle != *bottle => true,
            push::Parcel::Accepted(accepted) if !kept.is_over => {
                lost.unheard.push(base::inert(&accepted.repo, 64));
                // Its note is in no record yet: it stays until all of it is removed.
                continue;
            }
            push::Parcel::Accepted(accepted) => publish(bus, accepted).await?,
            push::Parcel::Rejected(rejected) => publish(bus, rejected).await?,
        };
        lost.refused += usize::from(!is_taken);
        kept.forget()?;
    }
    Ok(())
}

/// Whether the bus took it; otherwise it never will.
async fn publish<M: Message>(bus: &Bus, message: &M) -> Result<bool, BusError> {
    match bus.publish_within(message, CONFIRM).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_for_good() => {
            tracing::error!(error = base::error::chain(&error), "the bus refuses a record for good");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Lost {
    fn note(&self) -> Option<String> {
        let refused = (self.refused > 0).then(|| format!("the bus refused {} of its records", self.refused));
        let unheard = (!self.unheard.is_empty()).then(|| {
            let repos = self.unheard.join(", ");
            format!("a push to {repos} may have gone upstream: its gate did not hear the end of it")
        });
        let all: Vec<_> = refused.into_iter().chain(unheard).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
