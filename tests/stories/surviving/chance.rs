//! What is left to chance, and how often.

use std::time::Duration;

use base::clock::Clock;

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let index = usize::try_from(self.next() % all.len() as u64).unwrap();
        all[index]
    }

    /// Up to so many milliseconds.
    pub(crate) fn up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.next() % (milliseconds + 1))
    }
}

/// The seeds that the stories are told with: `BOT_BOTTLE_SEED`, or one that nobody chose, and the ones after it.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let by_clock = || Clock::System.now().subsec_nanosecond().unsigned_abs().into();
    let first = number("BOT_BOTTLE_SEED").unwrap_or_else(by_clock);
    (first..).take(usize::try_from(number("BOT_BOTTLE_ROUNDS").unwrap_or(1)).unwrap())
}

/// How long the bus is away: `BOT_BOTTLE_AWAY` seconds.
pub(crate) fn absence() -> Duration {
    Duration::from_secs(number("BOT_BOTTLE_AWAY").unwrap_or(5))
}

/// A number that the environment sets.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}
