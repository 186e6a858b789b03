//! Who may keep a connection: whoever has a delivery in hand, and of those who have sent none yet the latest. Somebody on the
//! network who opens connections and says nothing loses them, and holds up no forge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::shared::lock;

/// The connections that wait for a whole request, the one that has waited longest first.
pub(super) struct Seats {
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    seats: BTreeMap<u64, Arc<Notify>>,
}

/// One connection's. It is left when this is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: Mutex<Option<u64>>,
    lost: Arc<Notify>,
}

impl Seats {
    /// So many may wait.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, waiting: Mutex::default() })
    }

    /// Takes one; if there are too many then, whoever has waited longest loses theirs.
    pub(super) fn take(self: &Arc<Self>) -> Arc<Seat> {
        let seat = Seat { seats: self.clone(), number: Mutex::default(), lost: Arc::default() };
        seat.wait();
        Arc::new(seat)
    }
}

impl Seat {
    /// Waits for a request from now on.
    pub(super) fn wait(&self) {
        // Also one that was refused before it was read to the end.
        self.work();
        let mut waiting = lock(&self.seats.waiting);
        waiting.last += 1;
        let number = waiting.last;
        waiting.seats.insert(number, self.lost.clone());
        *lock(&self.number) = Some(number);
        while waiting.seats.len() > self.seats.most
            && let Some((_, lost)) = waiting.seats.pop_first()
        {
            lost.notify_one();
        }
    }

    /// Has one in hand, and cannot be lost.
    pub(super) fn work(&self) {
        let number = lock(&self.number).take();
        if let Some(number) = number {
            lock(&self.seats.waiting).seats.remove(&number);
        }
    }

    /// Completes when it is lost.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_lost(seat: &Seat) -> bool {
        pin!(seat.lost()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn whoever_has_waited_longest_goes_and_nobody_who_works() {
        let seats = Seats::new(2);
        let [first, second, third] = [(); 3].map(|()| seats.take());
        assert_eq!([&first, &second, &third].map(|seat| is_lost(seat)), [true, false, false]);
        second.work();
        let fourth = seats.take();
        assert_eq!([&second, &third, &fourth].map(|seat| is_lost(seat)), [false; 3]);
        // It is the latest now.
        second.wait();
        second.wait();
        assert_eq!([&second, &third, &fourth].map(|seat| is_lost(seat)), [false, true, false]);
        drop((second, fourth));
        assert!(lock(&seats.waiting).seats.is_empty());
    }
}
