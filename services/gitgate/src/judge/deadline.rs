//! When a judgement has to be over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::trouble::Trouble;

/// Shared by everything that one judgement does.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    seconds: u64,
    given_up: Arc<AtomicBool>,
}

/// Ends the judgement when it is dropped.
pub(crate) struct Owner(Arc<AtomicBool>);

impl Deadline {
    pub(crate) fn after(seconds: u64) -> (Self, Owner) {
        let given_up = Arc::new(AtomicBool::new(false));
        let owner = Owner(Arc::clone(&given_up));
        (Self { at: Instant::now() + Duration::from_secs(seconds), seconds, given_up }, owner)
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Result<Duration, Trouble> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(Trouble::GivenUp);
        }
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.time_up()) } else { Ok(left) }
    }

    pub(crate) fn time_up(&self) -> Trouble {
        Trouble::TimeUp { seconds: self.seconds }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
