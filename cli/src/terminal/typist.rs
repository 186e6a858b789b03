//! Brings what is typed to the program: one request at a time, each until it is accepted, so that nothing is lost, doubled
//! or swapped while the bus is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::id::{ClientId, Slug};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::terminal::{
    INPUT_LIMIT, Size, TerminalAct, TerminalOutcome, TerminalReply, TerminalRequest,
};
use bus::{Bus, BusError};
use tokio::sync::{mpsc, watch};

/// How long one request waits for its answer.
const ONE_TRY: Duration = Duration::from_secs(2);
/// How long until it is made again.
const PAUSE: Duration = Duration::from_millis(50);

/// What goes to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Keys(Vec<u8>),
    Answer(Vec<u8>),
    Resize(Size),
    Detach,
}

/// Why keys wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trouble {
    #[default]
    None,
    /// Nobody answers.
    Away,
    /// The program does not read.
    Busy,
}

/// Somebody who is attached to a bottle.
#[derive(Debug)]
pub struct Seat {
    bus: Bus,
    bottle: Slug,
    client: ClientId,
    next: u64,
    size: Size,
}

/// Attaches to a bottle.
///
/// # Errors
/// The bus does not answer. An answer that says no is the inner error.
pub async fn attach(
    bus: &Bus,
    bottle: &Slug,
    size: Size,
    within: Duration,
) -> Result<Result<Seat, TerminalReply>, BusError> {
    let (bus, bottle) = (bus.clone(), bottle.clone());
    let mut seat = Seat { bus, bottle, client: ClientId::random(), next: 0, size };
    let end = tokio::time::Instant::now() + within;
    loop {
        let reply = seat.ask(TerminalAct::Attach { size }).await;
        match reply {
            Ok(reply) if reply.outcome == TerminalOutcome::Accepted => {
                seat.next += 1;
                return Ok(Ok(seat));
            }
            Ok(reply) if reply.outcome != TerminalOutcome::Busy => return Ok(Err(reply)),
            Err(error) if tokio::time::Instant::now() > end => return Err(error),
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Seat {
    async fn ask(&self, act: TerminalAct) -> Result<TerminalReply, BusError> {
        let (bottle, client) = (self.bottle.clone(), self.client.clone());
        let request = TerminalRequest { v: Default::default(), bottle, client, sequence: self.next, act };
        self.bus.request(&request, ONE_TRY).await
    }

    /// Makes a request until it is accepted. Returns whether there is a program to go on with.
    async fn bring(&mut self, act: TerminalAct, trouble: &watch::Sender<Trouble>) -> bool {
        loop {
            let outcome = self.ask(act.clone()).await.map(|reply| reply.outcome);
            let now = match outcome {
                Ok(TerminalOutcome::Accepted) => {
                    self.next += 1;
                    set(trouble, Trouble::None);
                    return true;
                }
                Ok(TerminalOutcome::Headless | TerminalOutcome::Over) => return false,
                // What cannot be served is not asked for by this program; passing it over is better than standing still.
                Ok(TerminalOutcome::Invalid) => return true,
                Ok(TerminalOutcome::Unknown | TerminalOutcome::OutOfOrder) => {
                    self.next = 0;
                    let again = self.ask(TerminalAct::Attach { size: self.size }).await;
                    self.next =
                        u64::from(again.is_ok_and(|reply| reply.outcome == TerminalOutcome::Accepted));
                    Trouble::Away
                }
                Ok(TerminalOutcome::Busy) => Trouble::Busy,
                Err(_) => Trouble::Away,
            };
            set(trouble, now);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn set(trouble: &watch::Sender<Trouble>, now: Trouble) {
    trouble.send_if_modified(|before| std::mem::replace(before, now) != now);
}

/// Brings strokes to the program until there are none any more. `waiting` counts the bytes that are on their way.
pub(super) async fn work(
    mut seat: Seat,
    mut strokes: mpsc::Receiver<Stroke>,
    trouble: watch::Sender<Trouble>,
    waiting: Arc<AtomicUsize>,
) {
    let mut ahead = None;
    loop {
        let first = match ahead.take() {
            Some(stroke) => stroke,
            None => match strokes.recv().await {
                Some(stroke) => stroke,
                None => return,
            },
        };
        let stroke = gather(first, || strokes.try_recv().ok(), &mut ahead);
        let (act, length) = match stroke {
            Stroke::Keys(bytes) => (TerminalAct::Input { data: BASE64_STANDARD.encode(&bytes) }, bytes.len()),
            Stroke::Answer(bytes) => (TerminalAct::Answer { data: BASE64_STANDARD.encode(&bytes) }, 0),
            Stroke::Resize(size) => {
                seat.size = size;
                (TerminalAct::Resize { size }, 0)
            }
            Stroke::Detach => (TerminalAct::Detach, 0),
        };
        if !seat.bring(act, &trouble).await {
            return;
        }
        waiting.fetch_sub(length, Ordering::Relaxed);
    }
}

/// Joins what can go in one request; what cannot is put ahead.
fn gather(first: Stroke, mut more: impl FnMut() -> Option<Stroke>, ahead: &mut Option<Stroke>) -> Stroke {
    let mut all = first;
    while let Some(next) = more() {
        match (&mut all, next) {
            (Stroke::Keys(all), Stroke::Keys(next)) if all.len() + next.len() <= INPUT_LIMIT => {
                all.extend(next);
            }
            (Stroke::Resize(all), Stroke::Resize(next)) => *all = next,
            (_, next) => {
                *ahead = Some(next);
                break;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stroke() -> impl Strategy<Value = Stroke> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..5000).prop_map(Stroke::Keys),
            prop::collection::vec(any::<u8>(), 1..9).prop_map(Stroke::Answer),
            (1..99_u16).prop_map(|rows| Stroke::Resize(Size { rows, cols: 80 })),
        ]
    }

    proptest! {
        #[test]
        fn what_is_joined_is_the_same_in_the_same_order(strokes in prop::collection::vec(stroke(), 1..12)) {
            let mut rest = strokes.clone().into_iter();
            let (mut ahead, mut all) = (None, Vec::new());
            while let Some(first) = ahead.take().or_else(|| rest.next()) {
                all.push(gather(first, || rest.next(), &mut ahead));
            }
            let keys = |strokes: &[Stroke]| -> Vec<u8> {
                strokes.iter().flat_map(|stroke| match stroke {
                    Stroke::Keys(bytes) | Stroke::Answer(bytes) => bytes.clone(),
                    _ => Vec::new(),
                }).collect()
            };
            prop_assert_eq!(keys(&all), keys(&strokes));
            let sizes = |strokes: &[Stroke]| strokes.iter().rfind(|s| matches!(s, Stroke::Resize(_))).cloned();
            prop_assert_eq!(sizes(&all), sizes(&strokes));
            let fits = |stroke: &Stroke| !matches!(stroke, Stroke::Keys(bytes) if bytes.len() > INPUT_LIMIT);
            prop_assert!(all.iter().all(fits));
        }
    }
}
