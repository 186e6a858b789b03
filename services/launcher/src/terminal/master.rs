//! The outer side of a program's terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bus::message::terminal::Size;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;

/// What is written to it is typed; what is read from it is shown.
#[derive(Debug)]
pub(crate) struct Master(AsyncFd<OwnedFd>);

impl Master {
    /// Takes the side that init handed out.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) fn new(terminal: OwnedFd) -> io::Result<Arc<Self>> {
        fcntl_setfl(&terminal, fcntl_getfl(&terminal)? | OFlags::NONBLOCK)?;
        Ok(Arc::new(Self(crate::sys::watched(terminal)?)))
    }

    /// Appends at most `room` bytes as soon as there are some. A terminal whose program is gone is an error. Dropping the
    /// wait loses nothing.
    pub(crate) async fn read(&self, piece: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        let before = piece.len();
        loop {
            let mut ready = self.0.readable().await?;
            piece.resize(before + room, 0);
            let read = ready.try_io(|terminal| Ok(rustix::io::read(terminal, &mut piece[before..])?));
            let new = read.as_ref().map_or(0, |read| *read.as_ref().unwrap_or(&0));
            piece.truncate(before + new);
            if let Ok(read) = read {
                return read;
            }
        }
    }

    /// Waits until the program has room for it. A terminal whose program is gone is an error.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            // What is full stays full then, and says for ever that it is ready.
            if ready.ready().is_write_closed() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if let Ok(written) = ready.try_io(|terminal| Ok(rustix::io::write(terminal, bytes)?)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        let found = tcgetwinsize(&self.0)?;
        Ok(Size { rows: found.ws_row, cols: found.ws_col })
    }

    /// The kernel tells the program, if the size is another one.
    pub(super) fn resize(&self, size: Size) -> io::Result<()> {
        Ok(tcsetwinsize(
            &self.0,
            Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 },
        )?)
    }
}
