//! Writes to the operator's terminal on a thread of its own: a terminal that is slow, or stopped, holds up nothing else.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// How many pieces wait for the terminal. With them full, no more is asked of the bus.
const WAITING: usize = 16;
/// How long the terminal may take for the last of them.
const LAST: Duration = Duration::from_secs(5);

/// The way to standard output.
pub(super) struct Painter {
    pieces: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
}

impl Painter {
    /// # Errors
    /// The process is out of threads.
    pub(super) fn open() -> io::Result<Self> {
        let (pieces, mut queue) = mpsc::channel::<Vec<u8>>(WAITING);
        let (finished, done) = oneshot::channel();
        let paint = move || {
            while let Some(piece) = queue.blocking_recv() {
                crate::output::bytes(&piece, false);
            }
            // Nobody waits any more.
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("painter".to_owned()).spawn(paint)?;
        Ok(Self { pieces, done })
    }

    /// Waits until there is room for a piece. Dropping the wait loses nothing.
    pub(super) async fn room(&self) {
        drop(self.pieces.reserve().await);
    }

    /// Writes a piece. One that has no room is lost: see [`Painter::room`].
    pub(super) fn paint(&self, piece: Vec<u8>) {
        if !piece.is_empty() {
            let _ = self.pieces.try_send(piece);
        }
    }

    /// Waits until everything was written, not for ever.
    pub(super) async fn finish(self) {
        drop(self.pieces);
        drop(tokio::time::timeout(LAST, self.done).await);
    }
}
