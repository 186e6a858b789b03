//! How much a terminal may show. It is never cut, which would end the work at it; it becomes slow instead, as a long line
//! to a far computer is, and the program waits.

use std::time::Duration;

use tokio::time::Instant;

/// What comes back each second: a program that draws and draws does not push other bottles' output out of the stream.
const EACH_SECOND: u64 = 8 * 1024;

/// Bytes that may be shown at once, and more as time goes on.
pub(super) struct Allowance {
    most: u64,
    left: u64,
    at: Instant,
}

impl Allowance {
    pub(super) fn of(most: u64) -> Self {
        Self { most, left: most, at: Instant::now() }
    }

    /// Waits until that many bytes may be shown.
    pub(super) async fn spend(&mut self, bytes: u64) {
        let now = Instant::now();
        let back = now.duration_since(self.at).as_millis() as u64 * EACH_SECOND / 1000;
        // The time of less than a byte is kept for later.
        if back > 0 {
            (self.left, self.at) = (self.left.saturating_add(back).min(self.most), now);
        }
        let missing = bytes.saturating_sub(self.left);
        self.left = self.left.saturating_sub(bytes);
        if missing > 0 {
            tokio::time::sleep(Duration::from_millis(missing * 1000 / EACH_SECOND)).await;
            self.at = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_over_the_limit_is_slow_and_comes_back() {
        let mut allowance = Allowance::of(64 * 1024);
        let start = Instant::now();
        allowance.spend(64 * 1024).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        allowance.spend(16 * 1024).await;
        assert_eq!(start.elapsed().as_secs(), 2);
        tokio::time::advance(Duration::from_secs(1000)).await;
        let start = Instant::now();
        allowance.spend(64 * 1024).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
