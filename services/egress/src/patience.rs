//! Waiting for an answer: as long as the request's body moves, and for the idle time after that.

use std::future::{Future, poll_fn};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::body::Progress;
use crate::timer::Timer;

/// The answer; `None` after `idle` in which neither it came nor the request's body moved. `timer` may have served
/// others before.
pub(crate) async fn patiently<T>(
    timer: &mut Timer,
    idle: Duration,
    progress: &Progress,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let mut frames = progress.frames();
    timer.set(Instant::now() + idle);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        loop {
            ready!(timer.poll(cx));
            if progress.frames() == frames {
                return Poll::Ready(None);
            }
            frames = progress.frames();
            timer.set(Instant::now() + idle);
        }
    })
    .await
}
