//! The outer side of a program's terminal.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boundary::order::size_bytes;
use bus::message::terminal::Size;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;

use crate::backend::OuterSide;

/// What is written to it is typed; what is read from it is shown.
#[derive(Debug)]
pub(crate) struct Master {
    outside: AsyncFd<OwnedFd>,
    /// Where the terminal itself stays inside.
    sizes: Option<Mutex<Sizes>>,
}

/// The way of its sizes, and the last one.
#[derive(Debug)]
struct Sizes {
    socket: UnixStream,
    last: Size,
}

impl Master {
    /// Takes the side that init handed out, or the way to it.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) fn new(side: OuterSide) -> io::Result<Arc<Self>> {
        let (outside, sizes) = match side {
            OuterSide::Terminal(terminal) => (terminal, None),
            OuterSide::Passed { bytes, sizes, size } => {
                let socket = UnixStream::from(sizes);
                socket.set_nonblocking(true)?;
                (bytes, Some(Mutex::new(Sizes { socket, last: size })))
            }
        };
        fcntl_setfl(&outside, fcntl_getfl(&outside)? | OFlags::NONBLOCK)?;
        Ok(Arc::new(Self { outside: crate::sys::watched(outside)?, sizes }))
    }

    /// Appends at most `room` bytes as soon as there are some. A terminal whose program is gone is an error. Dropping the
    /// wait loses nothing.
    pub(crate) async fn read(&self, piece: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        let before = piece.len();
        loop {
            let mut ready = self.outside.readable().await?;
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
            let mut ready = self.outside.writable().await?;
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
        if let Some(sizes) = &self.sizes {
            return Ok(lock(sizes).last);
        }
        let found = tcgetwinsize(&self.outside)?;
        Ok(Size { rows: found.ws_row, cols: found.ws_col })
    }

    /// The kernel tells the program, if the size is another one.
    pub(super) fn resize(&self, size: Size) -> io::Result<()> {
        if let Some(sizes) = &self.sizes {
            let mut sizes = lock(sizes);
            // A program that takes no sizes any more does not hold anybody up; part of one never fits in.
            sizes.socket.write_all(&size_bytes(size.rows, size.cols))?;
            sizes.last = size;
            return Ok(());
        }
        Ok(tcsetwinsize(
            &self.outside,
            Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 },
        )?)
    }
}

fn lock(sizes: &Mutex<Sizes>) -> MutexGuard<'_, Sizes> {
    // A size that was sent or not is the worst that a panic leaves.
    sizes.lock().unwrap_or_else(PoisonError::into_inner)
}
