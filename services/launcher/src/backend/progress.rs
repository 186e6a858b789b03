//! What making a boundary does that takes long, line by line, while it does.

use tokio::sync::mpsc;

/// Lines that wait for somebody to read them; more are dropped, and the work goes on.
const WAITING: usize = 256;

/// Is told lines; one that nobody hears is told nothing.
#[derive(Clone, Debug, Default)]
pub struct Progress(Option<mpsc::Sender<String>>);

impl Progress {
    /// One that is heard. There are no more lines when the last of its clones is gone.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<String>) {
        let (sender, lines) = mpsc::channel(WAITING);
        (Self(Some(sender)), lines)
    }

    /// Tells one line, which must be harmless to show.
    pub fn tell(&self, line: &str) {
        if let Some(lines) = &self.0 {
            // Nobody waits for a reader: what is done matters more than what is seen of it.
            let _ = lines.try_send(line.to_owned());
        }
    }
}
