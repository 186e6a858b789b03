//! A deadline that is put off far more often than it is met, as that of a silent peer. Setting a timer anew takes a
//! lock that all connections share; this one looks at the deadline only when the timer, set for an earlier one, fires.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// See the module.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
}

impl Timer {
    /// Sets the deadline, which is no earlier than any before it.
    pub(crate) fn set(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Completes at the deadline, and never where none was set.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_was_put_off_is_met_to_the_moment() {
        let begun = Instant::now();
        let mut timer = Timer::default();
        timer.set(begun + Duration::from_secs(10));
        // The first poll is what sets the timer below.
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx))).await.is_pending());
        timer.set(begun + Duration::from_secs(15));
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 15);
        timer.set(begun + Duration::from_secs(20));
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 20);
    }
}
