//! Time as something that is handed over: what needs it, says so.

use jiff::Timestamp;

/// Says what time it is.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own time.
    #[default]
    System,
}

impl Clock {
    /// The current time, to the millisecond.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the others are told to take")]
    pub fn now(&self) -> Timestamp {
        let Self::System = self;
        // The source is within the range that a Timestamp holds.
        Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
