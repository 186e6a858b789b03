//! Streams that stand still.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::body::Cut;
use crate::timer::Timer;

/// Notices that a stream stands still. The timer is set only while somebody waits.
pub(crate) struct Stall {
    limit: Duration,
    timer: Timer,
    waiting: bool,
}

impl Stall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: Timer::default(), waiting: false }
    }

    pub(crate) fn moved(&mut self) {
        self.waiting = false;
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        if !self.waiting {
            self.waiting = true;
            self.timer.set(Instant::now() + self.limit);
        }
        self.timer.poll(cx).map(|()| Cut::Stalled)
    }
}
