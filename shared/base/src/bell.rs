//! A waker for futures that are polled inside another one, by the same task. When one of them wakes another of them
//! while both are being polled, they are simply polled again; the task itself is woken only from outside. Without
//! this each such wake would send the task once more through the scheduler, and wake an idle thread to do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// How often the inner futures are polled before others get their turn: a future that has used up its share of time
/// wakes itself at once (tokio's cooperative budget).
const ROUNDS: usize = 8;

/// See the module. For one task at a time.
#[derive(Debug)]
pub struct Bell {
    inner: Arc<Inner>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Inner {
    task: AtomicWaker,
    is_inside: AtomicBool,
    is_rung: AtomicBool,
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

impl Bell {
    /// One whose future has not been polled yet.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner { is_rung: AtomicBool::new(true), ..Inner::default() };
        let inner = Arc::new(inner);
        Self { waker: Waker::from(Arc::clone(&inner)), inner }
    }

    /// Polls until that brings a result, or nothing has been woken meanwhile.
    pub fn poll<T>(&self, cx: &Context<'_>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let mut inside = Context::from_waker(&self.waker);
        self.inner.task.register(cx.waker());
        for _ in 0..ROUNDS {
            self.inner.is_rung.store(false, Ordering::SeqCst);
            self.inner.is_inside.store(true, Ordering::SeqCst);
            let polled = poll(&mut inside);
            self.inner.is_inside.store(false, Ordering::SeqCst);
            if polled.is_ready() || !self.inner.is_rung.load(Ordering::SeqCst) {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls only if the inner future has been woken since the last time. For futures that stand beside a busy one
    /// and have nothing to do most of the time.
    pub fn poll_woken<T>(&self, cx: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.inner.task.register(cx.waker());
        if !self.inner.is_rung.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.inner.is_rung.store(false, Ordering::SeqCst);
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Does something that wakes the inner futures just before they are polled anyway.
    pub fn muffle<T>(&self, act: impl FnOnce() -> T) -> T {
        self.inner.is_inside.store(true, Ordering::SeqCst);
        let done = act();
        self.inner.is_inside.store(false, Ordering::SeqCst);
        done
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_rung.store(true, Ordering::SeqCst);
        if !self.is_inside.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakes_inside_poll_again_and_wakes_outside_wake_the_task() {
        let (bell, count) = (Bell::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let (mut polls, mut kept) = (0, None);
        let polled = bell.poll(&Context::from_waker(&waker), |cx| {
            polls += 1;
            kept = Some(cx.waker().clone());
            if polls < 3 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert_eq!((polled, polls, count.0.load(Ordering::SeqCst)), (Poll::Pending, 3, 0));
        kept.unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_that_is_polled_when_woken_is_polled_at_first_and_after_each_wake() {
        let (bell, count) = (Bell::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let (mut polls, mut kept) = (0, None);
        let mut poll = || {
            let polled = bell.poll_woken(&Context::from_waker(&waker), |cx| {
                polls += 1;
                kept = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            (polled, polls, kept.clone())
        };
        let (polled, polls, kept) = poll();
        assert_eq!((polled, polls), (Poll::Pending, 1));
        assert_eq!(poll().1, 1);
        kept.unwrap().wake();
        assert_eq!((poll().1, count.0.load(Ordering::SeqCst)), (2, 1));
    }

    #[test]
    fn one_that_always_wakes_itself_gives_others_their_turn() {
        let (bell, count) = (Bell::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let polled = bell.poll(&Context::from_waker(&waker), |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((polled, count.0.load(Ordering::SeqCst)), (Poll::Pending, 1));
    }
}
