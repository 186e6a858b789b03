//! The program's terminal where no descriptor can leave the bottle: its outer side stays with init, and what is shown and
//! typed passes over a socket of the launcher's. A second socket brings its sizes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use boundary::order::{SIZE_BYTES, size_of};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{LocalModes, SpecialCodeIndex, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

use crate::forward::Direction;

/// How long what the program has shown last may take to reach the launcher.
const LAST: Duration = Duration::from_secs(10);

/// A terminal whose bytes are passed on.
pub(crate) struct Relay {
    thread: JoinHandle<()>,
    /// Dropped when the program has ended.
    running: UnixStream,
}

impl Relay {
    /// Begins to pass on. Every signal must be blocked in this thread: those that come are for init.
    ///
    /// # Errors
    /// The descriptors are others, or no thread can be had.
    pub(crate) fn start(terminal: OwnedFd, [bytes, sizes]: [OwnedFd; 2], program: Pid) -> io::Result<Self> {
        for descriptor in [&terminal, &bytes, &sizes] {
            fcntl_setfl(descriptor, fcntl_getfl(descriptor)? | OFlags::NONBLOCK)?;
        }
        let (running, ended) = UnixStream::pair()?;
        let thread = std::thread::Builder::new().spawn(move || {
            let sides = Sides { terminal, bytes, sizes, ended: ended.into(), program };
            sides.pass_on();
        })?;
        Ok(Self { thread, running })
    }

    /// Waits until what the ended program has shown was passed on, not for ever.
    pub(crate) fn finish(self) {
        drop(self.running);
        // It only passes bytes on; what would panic there is a lost end of a screen.
        let _ = self.thread.join();
    }
}

struct Sides {
    terminal: OwnedFd,
    bytes: OwnedFd,
    sizes: OwnedFd,
    ended: OwnedFd,
    program: Pid,
}

impl Sides {
    fn pass_on(&self) {
        let (mut shown, mut typed) = (Direction::default(), Direction::default());
        let mut size = Vec::new();
        let mut has_sizes = true;
        let mut until = None;
        while !shown.ended || !shown.bytes.is_empty() {
            let left = until.map(|until: Instant| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            let [terminal, bytes, sizes, ended] =
                self.wait((&shown, &typed), (has_sizes, until.is_none()), left);
            if ended {
                until = Some(Instant::now() + LAST);
            }
            if terminal || until.is_some() {
                let (before, had_room) = (shown.bytes.len(), shown.has_room());
                shown.take(self.terminal.as_fd());
                // Nobody writes any more, and nothing is left; without room nobody has looked.
                shown.ended |= until.is_some() && had_room && shown.bytes.len() == before && !terminal;
            }
            if !shown.pass(self.bytes.as_fd()) {
                return;
            }
            if bytes {
                let before = typed.bytes.len();
                typed.take(self.bytes.as_fd());
                self.interrupt(&mut typed.bytes, before);
            }
            if !typed.pass(self.terminal.as_fd()) {
                typed = Direction { ended: true, ..Direction::default() };
            }
            if sizes {
                has_sizes = self.resize(&mut size);
            }
        }
        let _ = shutdown(&self.bytes, Shutdown::Write);
    }

    /// Whether something happened to the terminal, the bytes, the sizes, or the program.
    fn wait(
        &self,
        (shown, typed): (&Direction, &Direction),
        (has_sizes, runs): (bool, bool),
        left: Option<Duration>,
    ) -> [bool; 4] {
        let mut of_terminal = PollFlags::empty();
        of_terminal.set(PollFlags::IN, !shown.ended && shown.has_room());
        of_terminal.set(PollFlags::OUT, !typed.bytes.is_empty());
        let mut of_bytes = PollFlags::empty();
        of_bytes.set(PollFlags::IN, !typed.ended && typed.has_room());
        of_bytes.set(PollFlags::OUT, !shown.bytes.is_empty());
        let if_so = |wanted| if wanted { PollFlags::IN } else { PollFlags::empty() };
        let all: [(BorrowedFd<'_>, PollFlags); 4] = [
            (self.terminal.as_fd(), of_terminal),
            (self.bytes.as_fd(), of_bytes),
            (self.sizes.as_fd(), if_so(has_sizes)),
            (self.ended.as_fd(), if_so(runs)),
        ];
        let asked = all.iter().filter(|(_, wanted)| !wanted.is_empty());
        let mut asked: Vec<_> =
            asked.map(|(descriptor, wanted)| PollFd::from_borrowed_fd(*descriptor, *wanted)).collect();
        // What is in the terminal of an ended program is there already, unless the launcher has to take some first.
        let left = left.map(|left| if shown.bytes.is_empty() { Duration::ZERO } else { left });
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        if poll(&mut asked, left.as_ref()).is_err() {
            return [false; 4];
        }
        let mut answers = asked.into_iter();
        all.map(|(_, wanted)| {
            !wanted.is_empty() && answers.next().is_some_and(|answer| !answer.revents().is_empty())
        })
    }

    /// Keys that are signals, as far as the terminal's settings make them that: gVisor's terminals know of none. As
    /// elsewhere what was typed before them and nobody has read is forgotten.
    fn interrupt(&self, typed: &mut Vec<u8>, new: usize) {
        if new == typed.len() {
            return;
        }
        let Ok(settings) = tcgetattr(&self.terminal) else { return };
        if !settings.local_modes.contains(LocalModes::ISIG) {
            return;
        }
        let codes = &settings.special_codes;
        let keys = [
            (codes[SpecialCodeIndex::VINTR], Signal::INT),
            (codes[SpecialCodeIndex::VQUIT], Signal::QUIT),
            (codes[SpecialCodeIndex::VSUSP], Signal::TSTP),
        ];
        if let Some((at, signal)) = last_signal(&typed[new..], &keys) {
            typed.drain(..=new + at);
            let _ = kill_process_group(self.group(), signal);
        }
    }

    /// Who is in the foreground. gVisor tells that only to the terminal's own session; then it is the program.
    fn group(&self) -> Pid {
        tcgetpgrp(&self.terminal).unwrap_or(self.program)
    }

    /// Takes part of a size, and returns whether there will be more.
    fn resize(&self, size: &mut Vec<u8>) -> bool {
        let mut room = [0; SIZE_BYTES];
        let room = &mut room[..SIZE_BYTES - size.len()];
        match rustix::io::read(&self.sizes, &mut *room) {
            Ok(0) => return false,
            Ok(count) => size.extend_from_slice(&room[..count]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
            Err(_) => return false,
        }
        if let Ok(whole) = <[u8; SIZE_BYTES]>::try_from(&size[..]) {
            size.clear();
            let (ws_row, ws_col) = size_of(whole);
            let _ = tcsetwinsize(&self.terminal, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 });
            // gVisor's terminals tell nobody.
            let _ = kill_process_group(self.group(), Signal::WINCH);
        }
        true
    }
}

/// Where the last key is that is a signal, and which; a key that is 0 is none.
fn last_signal(typed: &[u8], keys: &[(u8, Signal)]) -> Option<(usize, Signal)> {
    let signal =
        |byte: &u8| keys.iter().find(|(key, _)| key == byte && *byte != 0).map(|(_, signal)| *signal);
    typed.iter().enumerate().rev().find_map(|(at, byte)| signal(byte).map(|signal| (at, signal)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    const KEYS: [(u8, Signal); 3] = [(3, Signal::INT), (28, Signal::QUIT), (0, Signal::TSTP)];

    #[test]
    fn keys_that_are_switched_off_are_none() {
        assert_eq!(last_signal(b"a\x03b", &KEYS), Some((1, Signal::INT)));
        assert_eq!(last_signal(b"\x03\x1c", &KEYS), Some((1, Signal::QUIT)));
        assert_eq!(last_signal(b"a\0b", &KEYS), None);
        assert_eq!(last_signal(b"", &KEYS), None);
    }

    /// On Linux, where the terminal itself would signal: keys come to it that mean nothing there.
    #[test]
    fn bytes_and_sizes_pass_and_the_last_of_them_is_not_lost() {
        let (bytes, its_bytes) = UnixStream::pair().unwrap();
        let (mut sizes, its_sizes) = UnixStream::pair().unwrap();
        bytes.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let command = boundary::order::Command {
            argv: [
                "sh",
                "-c",
                "read -r word; until [ \"$(stty size)\" = '30 90' ]; do :; done; echo got-$word; seq 1 6000",
            ]
            .map(str::to_owned)
            .to_vec(),
            env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            cwd: "/".to_owned(),
        };
        let kept = its_bytes.try_clone().unwrap();
        let (mut child, terminal) = crate::terminal::start(&command, 24, 80).unwrap();
        let relay =
            Relay::start(terminal, [its_bytes.into(), its_sizes.into()], Pid::from_child(&child)).unwrap();
        // The program ends before what it has shown has gone.
        rustix::net::sockopt::set_socket_send_buffer_size(&kept, 1).unwrap();
        (&bytes).write_all(b"word\r").unwrap();
        // In pieces.
        let size = boundary::order::size_bytes(30, 90);
        sizes.write_all(&size[..1]).unwrap();
        sizes.write_all(&size[1..]).unwrap();
        assert!(child.wait().unwrap().success());
        drop(kept);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            relay.finish();
            tell.send(())
        });
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "nobody has read it yet");
        let mut shown = String::new();
        (&bytes).read_to_string(&mut shown).unwrap();
        told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(shown.starts_with("word\r\ngot-word\r\n") && shown.ends_with("\n6000\r\n"), "{shown:.80}");
    }
}
