//! Reads the operator's terminal on a thread of its own: a read that waits for a key would hold up the end of the program.

use std::io;
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::mpsc;

/// How many reads wait to be looked at; those that do not fit wait in the terminal.
const WAITING: usize = 64;

/// What is typed, as it comes.
pub(super) struct Keyboard {
    reads: mpsc::Receiver<Vec<u8>>,
    /// Ends the thread when it is dropped.
    _stop: io::PipeWriter,
}

impl Keyboard {
    /// Reads standard input from now on.
    ///
    /// # Errors
    /// The process is out of descriptors or threads.
    pub(super) fn open() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (sender, reads) = mpsc::channel(WAITING);
        std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || read(&stopped, &sender))?;
        Ok(Self { reads, _stop: stop })
    }

    /// The next read; nothing when the terminal is gone. Dropping the wait loses nothing.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.reads.recv().await
    }
}

fn read(stopped: &io::PipeReader, reads: &mpsc::Sender<Vec<u8>>) {
    let stdin = io::stdin();
    let mut buffer = [0; 4096];
    loop {
        let mut waits = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        let polled = retry_on_intr(|| poll(&mut waits, None));
        if polled.is_err() || !waits[1].revents().is_empty() {
            return;
        }
        match rustix::io::read(stdin.as_fd(), &mut buffer) {
            Ok(0) => return,
            Ok(length) if reads.blocking_send(buffer[..length].to_vec()).is_err() => return,
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}
