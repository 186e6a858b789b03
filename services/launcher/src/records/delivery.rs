//! Brings what was put aside to the bus, as the bottles themselves: the bus takes nothing from them in another's name.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use bus::keys::{BottleMinter, KeysError};
use bus::message::Message;
use bus::message::record::BottleRecord;
use bus::message::{egress, push};
use bus::{Bus, BusError, Connect};
use futures::future::join_all;

use super::Shelf;
use super::gate::{self, Shelved};
use super::proxy::Waiting;
use crate::record::{add_note, amend};
use crate::state::off_the_runtime;

/// How long such an identity is valid.
const VALID: Duration = Duration::from_secs(600);
/// How long the bus may take to confirm one.
const CONFIRM: Duration = Duration::from_secs(5);
/// Messages on their way at once.
const WINDOW: usize = 64;
/// Repositories that a note names.
const NAMED: usize = 8;

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
    /// Records that cannot be read, or are of another bottle.
    unreadable: usize,
    /// Records that it refused for good.
    refused: usize,
    /// Repositories with a push of which nobody heard the end.
    unheard: BTreeSet<String>,
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
    let brought = async {
        requests(&bus, place.join(crate::egress::NAME), bottle, &mut lost).await?;
        pushes(&bus, place.join(crate::gitgate::NAME), bottle, &mut lost).await
    };
    let brought = brought.await;
    // Before anything of it is tried again: what was lost this time is not lost once more.
    lost.tell(registry, bottle).await?;
    brought?;
    Ok(shelf.remove(bottle).await?)
}

async fn requests(bus: &Bus, place: PathBuf, bottle: &Slug, lost: &mut Lost) -> Result<(), Undelivered> {
    let Some(mut waiting) = off_the_runtime(move || Waiting::open(&place)).await? else { return Ok(()) };
    loop {
        let (then, batch) = off_the_runtime(move || {
            let batch = waiting.next(WINDOW)?;
            Ok((waiting, batch))
        })
        .await?;
        waiting = then;
        lost.unreadable += batch.unreadable;
        let published = batch.parcels.iter().map(async |parcel| match parcel {
            egress::Parcel::Blocked(blocked) if blocked.bottle == *bottle => {
                publish(bus, blocked.as_ref()).await
            }
            egress::Parcel::Log(log) if log.bottle == *bottle => publish(bus, log).await,
            _ => Ok(Fate::Foreign),
        });
        for fate in join_all(published).await {
            lost.count(fate?);
        }
        waiting.delivered()?;
        if batch.is_last {
            return Ok(());
        }
    }
}

async fn pushes(bus: &Bus, place: PathBuf, bottle: &Slug, lost: &mut Lost) -> Result<(), Undelivered> {
    let listed = off_the_runtime(move || {
        let Some(shelved) = Shelved::open(&place)? else { return Ok(None) };
        shelved.names().map(|names| Some((shelved, names)))
    });
    let Some((shelved, names)) = listed.await? else { return Ok(()) };
    for name in names {
        let fate = match shelved.read(&name)? {
            Some(push::Parcel::Accepted(accepted)) if accepted.bottle == *bottle => {
                if !gate::is_over(&name) {
                    lost.unheard.insert(base::inert(&accepted.repo, 64));
                    // It is told below, and goes with all of it.
                    continue;
                }
                publish(bus, &accepted).await?
            }
            Some(push::Parcel::Rejected(rejected)) if rejected.bottle == *bottle => {
                publish(bus, &rejected).await?
            }
            _ => Fate::Foreign,
        };
        lost.count(fate);
        shelved.forget(&name)?;
    }
    Ok(())
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    /// The bus will never take it.
    Refused,
    /// It is none of this bottle's.
    Foreign,
}

async fn publish<M: Message>(bus: &Bus, message: &M) -> Result<Fate, BusError> {
    match bus.publish_within(message, CONFIRM).await {
        Ok(_) => Ok(Fate::Taken),
        Err(error) if error.is_for_good() => {
            tracing::error!(error = base::error::chain(&error), "the bus refuses a record for good");
            Ok(Fate::Refused)
        }
        Err(error) => Err(error),
    }
}

impl Lost {
    fn count(&mut self, fate: Fate) {
        self.refused += usize::from(fate == Fate::Refused);
        self.unreadable += usize::from(fate == Fate::Foreign);
    }

    /// Writes it into the bottle's record, once.
    async fn tell(&self, registry: &Registry<'_>, bottle: &Slug) -> Result<(), BusError> {
        let Some(note) = self.note() else { return Ok(()) };
        tracing::error!(%bottle, note, "something is missing in the records of a bottle");
        let told = |record: &mut BottleRecord| {
            if !record.note.as_ref().is_some_and(|known| known.contains(&note)) {
                add_note(record, &note);
            }
        };
        amend((registry.bus, registry.clock), bottle, told).await
    }

    fn note(&self) -> Option<String> {
        let unreadable =
            (self.unreadable > 0).then(|| format!("{} of its records cannot be read", self.unreadable));
        let refused = (self.refused > 0).then(|| format!("the bus refused {} of its records", self.refused));
        let unheard = (!self.unheard.is_empty()).then(|| {
            let some: Vec<_> = self.unheard.iter().take(NAMED).map(String::as_str).collect();
            let more = self.unheard.len() - some.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let repos = some.join(", ");
            format!("a push to {repos}{more} may have gone upstream: its gate did not hear the end of it")
        });
        let all: Vec<_> = [unreadable, refused, unheard].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
