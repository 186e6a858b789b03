//! Where a program's output is read from.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::terminal::Master;

/// A pipe, or the outer side of the program's terminal.
pub(super) enum Source {
    Pipe(pipe::Receiver),
    Terminal(Arc<Master>),
}

impl Source {
    /// Appends at most `room` bytes as soon as there are some; 0 at the end. Dropping the wait loses nothing.
    pub(super) async fn read(&mut self, piece: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.take(room as u64).read_buf(piece).await,
            Self::Terminal(terminal) => terminal.read(piece, room).await,
        }
    }
}
