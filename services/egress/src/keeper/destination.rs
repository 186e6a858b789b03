//! Where records go, and what becomes of them there.

use std::time::Duration;

use bus::{Bus, BusError, Link};
use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::spool::Parcel;

/// How long the bus may take to confirm a message before it goes to the disk.
const CONFIRM: Duration = Duration::from_secs(2);

/// Where records go.
pub enum Destination {
    /// To the bus, as soon as it is there.
    Bus(watch::Receiver<Option<Bus>>),
    /// To whoever started the proxy in their own process.
    Channel(mpsc::Sender<Parcel>),
}

impl Destination {
    /// Whether trying to send is worth it at this moment.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Bus(bus) => bus.borrow().as_ref().is_some_and(|bus| *bus.link().borrow() == Link::Up),
            Self::Channel(_) => true,
        }
    }

    /// Whether it may be there later.
    pub(super) fn may_come_back(&self) -> bool {
        match self {
            Self::Bus(_) => true,
            Self::Channel(channel) => !channel.is_closed(),
        }
    }
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The bus has it.
    Arrived,
    /// The bus will never take it, for this reason.
    Refused(String),
    /// Perhaps later.
    Unknown,
}

/// Sends messages; what became of them, from the first on, up to one that may have to be sent again.
pub(super) async fn send(destination: &Destination, parcels: &[Parcel]) -> Vec<Fate> {
    if !destination.is_there() {
        return Vec::new();
    }
    match destination {
        Destination::Channel(channel) => {
            let mut fates = Vec::new();
            for parcel in parcels {
                if channel.send(parcel.clone()).await.is_err() {
                    break;
                }
                fates.push(Fate::Arrived);
            }
            fates
        }
        Destination::Bus(bus) => {
            let Some(bus) = bus.borrow().clone() else { return Vec::new() };
            let sent = join_all(parcels.iter().map(|parcel| publish(&bus, parcel))).await;
            sent.into_iter().take_while(|fate| *fate != Fate::Unknown).collect()
        }
    }
}

async fn publish(bus: &Bus, parcel: &Parcel) -> Fate {
    let publication = async {
        match parcel {
            Parcel::Blocked(blocked) => bus.publish_within(blocked.as_ref(), CONFIRM).await,
            Parcel::Log(log) => bus.publish_within(log, CONFIRM).await,
        }
    };
    match timeout(CONFIRM * 2, publication).await {
        Ok(Ok(_)) => Fate::Arrived,
        Ok(Err(error)) => fate(&error),
        Err(_) => Fate::Unknown,
    }
}

fn fate(error: &BusError) -> Fate {
    if error.is_for_good() {
        return Fate::Refused(base::error::chain(error));
    }
    // Expected while the bus is away; the spool has it.
    if !matches!(error, BusError::Deadline { .. }) {
        tracing::warn!(error = base::error::chain(error), "the bus does not take a record");
    }
    Fate::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_message_itself_is_for_good() {
        let refused = |code| {
            let answer = "message size exceeds maximum allowed".to_owned();
            fate(&BusError::Refused { doing: "publishing".to_owned(), answer, code })
        };
        assert!(matches!(refused(10054), Fate::Refused(reason) if reason.contains("exceeds")));
        assert_eq!(refused(503), Fate::Unknown);
        assert_eq!(fate(&BusError::Closed { doing: "publishing".to_owned() }), Fate::Unknown);
    }
}
