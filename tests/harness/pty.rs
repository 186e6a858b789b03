//! A terminal, and a person at it.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::{Home, program, soon};

/// A command line at a terminal of its own.
#[derive(Debug)]
pub struct Pty {
    person: File,
    /// The command's own side, kept so that its settings can be looked at.
    inside: OwnedFd,
    command: Child,
    reads: mpsc::UnboundedReceiver<Vec<u8>>,
    watcher: JoinHandle<()>,
    /// Ends the watcher when it is dropped.
    stop: PipeWriter,
    /// Everything that was shown and not yet looked for.
    seen: Vec<u8>,
    /// Everything that was shown.
    pub all: Vec<u8>,
}

impl Pty {
    /// Runs a command line of this home at a terminal of 24 rows and 80 columns.
    ///
    /// # Panics
    /// When there is no terminal to be had.
    #[must_use]
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outside = openpt(flags).unwrap_or_else(|error| panic!("no terminal: {error}"));
        unlockpt(&outside).unwrap_or_else(|error| panic!("no terminal: {error}"));
        let inside =
            ioctl_tiocgptpeer(&outside, flags).unwrap_or_else(|error| panic!("no terminal: {error}"));
        let stream = || inside.try_clone().map_or_else(|error| panic!("no descriptor: {error}"), Stdio::from);
        // Makes the terminal the session's own, and then is the command.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program("bot-bottle")).args(arguments);
        let of_home = home.command(&[]);
        for (name, value) in of_home.as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").current_dir(home.path());
        command.stdin(stream()).stdout(stream()).stderr(stream()).kill_on_drop(true);
        let pty = Self::watch(File::from(outside), inside, command);
        pty.resize(24, 80);
        pty
    }

    fn watch(person: File, inside: OwnedFd, mut command: Command) -> Self {
        let (sender, reads) = mpsc::unbounded_channel();
        let mut screen = person.try_clone().unwrap_or_else(|error| panic!("no descriptor: {error}"));
        let (stopped, stop) = std::io::pipe().unwrap_or_else(|error| panic!("no descriptor: {error}"));
        let watcher = std::thread::spawn(move || watch(&mut screen, &stopped, &sender));
        let command = command.spawn().unwrap_or_else(|error| panic!("cannot run setsid: {error}"));
        Self { person, inside, command, reads, watcher, stop, seen: Vec::new(), all: Vec::new() }
    }

    /// Presses these keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap_or_else(|error| panic!("cannot type: {error}"));
    }

    /// Waits until this is shown. What came before it is not looked for again.
    ///
    /// # Panics
    /// When it is not shown in time.
    pub async fn shows(&mut self, text: &str) {
        loop {
            let found = self.seen.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                self.seen.drain(..at + text.len());
                return;
            }
            let read = tokio::time::timeout(crate::LIMIT, self.reads.recv()).await;
            let Ok(Some(read)) = read else {
                let [seen, all] = [&self.seen, &self.all].map(|bytes| String::from_utf8_lossy(bytes));
                panic!("no {text:?} in {seen:?}; the terminal showed {all:?}");
            };
            self.seen.extend_from_slice(&read);
            self.all.extend_from_slice(&read);
        }
    }

    /// Gives the window another size.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, cols: u16) {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.person, size).unwrap_or_else(|error| panic!("cannot resize: {error}"));
    }

    /// Whether lines are edited and keys are echoed, as a shell leaves a terminal.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.inside).unwrap_or_else(|error| panic!("no settings: {error}"));
        modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// The command's process.
    #[must_use]
    pub fn pid(&self) -> Option<rustix::process::Pid> {
        self.command.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    }

    /// Waits for the command's end; its code.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn code(&mut self) -> Option<i32> {
        let ended = soon("the end of a command at a terminal", self.command.wait()).await;
        while let Ok(read) = self.reads.try_recv() {
            self.seen.extend_from_slice(&read);
            self.all.extend_from_slice(&read);
        }
        ended.ok().and_then(|status| status.code())
    }

    /// Takes the terminal away, as a lost connection does. The command, which goes on, is returned.
    #[must_use]
    pub fn hang_up(self) -> Child {
        let Self { person, inside, command, watcher, stop, .. } = self;
        drop((person, inside, stop));
        watcher.join().unwrap_or_else(|_| panic!("the watcher of a terminal has panicked"));
        command
    }
}

fn watch(screen: &mut File, stopped: &PipeReader, reads: &mpsc::UnboundedSender<Vec<u8>>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let mut waits = [PollFd::new(&*screen, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut waits, None)).is_err() || !waits[1].revents().is_empty() {
            return;
        }
        match screen.read(&mut buffer) {
            Ok(length @ 1..) if reads.send(buffer[..length].to_vec()).is_ok() => {}
            _ => return,
        }
    }
}
