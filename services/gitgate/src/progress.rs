//! What the person who pushes reads while it goes on (G10): lines that git shows after `remote:`.

use tokio::sync::mpsc;

/// Lines that may wait to be shown; more are dropped, since they are for a person and nothing depends on them.
const WAITING: usize = 64;
/// The longest line, in characters.
const LONGEST: usize = 1000;

/// Says lines to the person who pushes.
#[derive(Clone, Debug)]
pub struct Progress(mpsc::Sender<String>);

impl Progress {
    /// The two ends: what is said here comes out there.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Says a line. It is made inert, since it may hold names that the agent chose.
    pub fn say(&self, line: &str) {
        // Nobody listens any more, or too slowly: the push goes on.
        drop(self.0.try_send(base::inert(line, LONGEST)));
    }
}
