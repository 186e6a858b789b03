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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::sleep;

    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn waits_while_the_body_moves_and_one_idle_time_more() {
        let (progress, mut timer, begun) = (Progress::default(), Timer::default(), Instant::now());
        let body = async {
            for _ in 0..3 {
                sleep(IDLE - Duration::from_secs(1)).await;
                progress.move_on();
            }
            pending::<()>().await;
        };
        assert_eq!(patiently(&mut timer, IDLE, &progress, body).await, None);
        // The last look that saw a movement was after three idle times.
        assert_eq!(begun.elapsed(), IDLE * 4);
        // The same timer serves the next answer with a whole idle time.
        let begun = Instant::now();
        assert_eq!(patiently(&mut timer, IDLE, &progress, pending::<()>()).await, None);
        assert_eq!(begun.elapsed(), IDLE);
        assert_eq!(patiently(&mut timer, IDLE, &progress, async { 1 }).await, Some(1));
    }
}
