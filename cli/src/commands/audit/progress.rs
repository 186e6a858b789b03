//! What a command says while it takes long.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::output;

/// Tells a person every few seconds how far it is; a program is told nothing.
pub(super) struct Progress {
    next: Option<Instant>,
    done: u64,
}

const EVERY: Duration = Duration::from_secs(2);

impl Progress {
    pub(super) fn new() -> Self {
        Self { next: std::io::stderr().is_terminal().then(|| Instant::now() + EVERY), done: 0 }
    }

    /// One more record.
    pub(super) fn step(&mut self) {
        self.done += 1;
        // Asking for the time at every record would take as long as the record.
        if self.done.is_multiple_of(1024)
            && let Some(next) = &mut self.next
            && Instant::now() >= *next
        {
            *next = Instant::now() + EVERY;
            output::note(&format!("{} records so far", self.done));
        }
    }

    /// How many there were.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}
