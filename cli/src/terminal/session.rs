//! A person at a program in a bottle, until one of them leaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::run::Output;
use bus::message::terminal::{SIDE_LIMIT, Size, Terminal};
use bus::{Follow, Malformed};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answers::{Part, parts};
use super::filter::Filter;
use super::keyboard::Keyboard;
use super::keys::DetachKey;
use super::painter::Painter;
use super::screen::{self, Screen};
use super::typist::{Seat, Stroke, Trouble, work};
use crate::context::OrBus as _;
use crate::exit::Failure;

/// How many strokes wait for the program.
const STROKES: usize = 256;
/// How many typed bytes do: a long paste.
const BYTES: usize = 1 << 20;
/// How long a question may take to be answered.
const ANSWERED: Duration = Duration::from_secs(2);
/// How long the end waits for answers that are on their way: they are not for whoever reads this terminal next.
const LATE: Duration = Duration::from_millis(200);
/// How long the launcher may take to hear that somebody leaves.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of the past is shown to whoever attaches.
const PAST: usize = 256 * 1024;

/// The terminal that this program runs at, as a start request has it.
#[must_use]
pub fn here() -> Terminal {
    let size = size();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let truecolor = matches!(variable("COLORTERM").as_str(), "truecolor" | "24bit");
    let terminal = Terminal { rows: size.rows, cols: size.cols, term: variable("TERM"), truecolor };
    match terminal.flaw() {
        None => terminal,
        Some(_) => Terminal { term: "xterm-256color".to_owned(), ..terminal },
    }
}

fn size() -> Size {
    let side = |found: u16, usual| if found == 0 { usual } else { found.min(SIDE_LIMIT) };
    let found = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin()));
    found.map_or(Size { rows: 24, cols: 80 }, |found| Size {
        rows: side(found.ws_row, 24),
        cols: side(found.ws_col, 80),
    })
}

/// What the program has shown before somebody attached.
#[derive(Debug)]
pub struct Replay {
    filter: Filter,
    tail: Vec<u8>,
}

impl Default for Replay {
    fn default() -> Self {
        Self { filter: Filter::of_the_past(), tail: Vec::new() }
    }
}

impl Replay {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.filter.push(bytes, &mut self.tail);
        if self.tail.len() > 2 * PAST {
            // From the beginning of a line or a sequence.
            let cut = self.tail.len() - PAST;
            let more = self.tail[cut..].iter().position(|byte| matches!(byte, b'\n' | 0x1b)).unwrap_or(0);
            self.tail.drain(..cut + more);
        }
    }

    /// The filter as it is now, and what brings a terminal to where the program is.
    fn finish(mut self) -> (Filter, Vec<u8>) {
        let mut bytes = self.filter.modes.enter();
        bytes.append(&mut self.tail);
        (self.filter.in_the_present(), bytes)
    }
}

/// What a session ends with, as far as it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The person wants to leave the bottle running.
    Detach,
    /// The terminal is gone.
    Gone,
}

/// Somebody's terminal and a program's, joined.
pub struct Session {
    keyboard: Keyboard,
    painter: Painter,
    filter: Filter,
    strokes: mpsc::Sender<Stroke>,
    waiting: Arc<AtomicUsize>,
    trouble: watch::Receiver<Trouble>,
    typist: JoinSet<()>,
    resized: Signal,
    title: String,
    key: DetachKey,
    /// Questions without an answer, and when the last one was asked.
    asked: (usize, Instant),
    // The last to go: it gives the terminal back.
    screen: Screen,
}

impl Session {
    /// Takes the terminal. `title` is inert.
    ///
    /// # Errors
    /// There is none, or the process is out of something.
    pub fn open(seat: Seat, title: &str, key: DetachKey, past: Replay) -> anyhow::Result<Self> {
        let resized = signal(SignalKind::window_change()).context("cannot hear of the window's size")?;
        let screen = Screen::take().context("cannot use the terminal")?;
        let keyboard = Keyboard::open().context("cannot read the terminal")?;
        let painter = Painter::open().context("cannot write to the terminal")?;
        let (strokes, queue) = mpsc::channel(STROKES);
        let (report, trouble) = watch::channel(Trouble::None);
        let waiting = Arc::<AtomicUsize>::default();
        let mut typist = JoinSet::new();
        typist.spawn(work(seat, queue, report, Arc::clone(&waiting)));
        let (filter, past) = past.finish();
        screen.is_in(&filter.modes);
        painter.paint([screen::title(title), past].concat());
        let (title, asked) = (title.to_owned(), (0, Instant::now()));
        let session = Self {
            keyboard,
            painter,
            filter,
            strokes,
            waiting,
            trouble,
            typist,
            resized,
            title,
            key,
            asked,
            screen,
        };
        // It may have changed while this was on its way.
        session.send(Stroke::Resize(size()));
        Ok(session)
    }

    /// Carries keys and output until something happens. Dropping the wait loses nothing.
    ///
    /// # Errors
    /// The bus does not answer.
    pub async fn next(&mut self, pieces: &mut Follow<Output>) -> Result<Happening, Failure> {
        loop {
            let painter = &self.painter;
            let piece = async {
                painter.room().await;
                pieces.next().await
            };
            tokio::select! {
                // A flood of output does not hold up a key.
                biased;
                read = self.keyboard.next() => match read {
                    None => return Ok(Happening::Gone),
                    Some(read) => if let Some(happening) = self.heed(&read) {
                        return Ok(happening);
                    },
                },
                _ = self.resized.recv() => self.send(Stroke::Resize(size())),
                Ok(()) = self.trouble.changed() => self.tell(),
                piece = piece => self.show(piece.or_bus()?.message)?,
            }
        }
    }

    /// Shows a piece.
    ///
    /// # Errors
    /// The piece is not what the bus's contract says.
    pub fn show(&mut self, piece: Result<Output, Malformed>) -> anyhow::Result<()> {
        let bytes = bytes(piece)?;
        let mut passed = Vec::with_capacity(bytes.len());
        self.filter.push(&bytes, &mut passed);
        self.screen.is_in(&self.filter.modes);
        let questions = self.filter.questions();
        if questions > 0 {
            self.asked = (self.asked.0 + questions, Instant::now());
        }
        let answers = self.filter.answers();
        if !answers.is_empty() {
            self.send(Stroke::Answer(answers));
        }
        self.painter.paint(passed);
        Ok(())
    }

    /// Shows what is stored, to its end.
    ///
    /// # Errors
    /// The bus does not answer.
    pub async fn drain(&mut self, pieces: &mut Follow<Output>) -> Result<(), Failure> {
        while let Some(piece) = pieces.stored().await.or_bus()? {
            self.painter.room().await;
            self.show(piece.message)?;
        }
        Ok(())
    }

    /// Gives the terminal back. Returns how many typed bytes did not reach the program.
    pub async fn close(mut self) -> usize {
        let left = self.waiting.load(Ordering::Relaxed);
        self.send(Stroke::Detach);
        drop(self.strokes);
        let typist = async { while self.typist.join_next().await.is_some() {} };
        // Whoever leaves while nobody answers is forgotten in time anyway.
        drop(tokio::time::timeout(FAREWELL, typist).await);
        self.painter.finish().await;
        let (mut asked, at) = self.asked;
        while asked > 0
            && let Ok(Some(read)) = tokio::time::timeout_at(at + LATE, self.keyboard.next()).await
        {
            let answers = parts(&read, asked).iter().filter(|part| matches!(part, Part::Answer(_))).count();
            asked -= answers.min(asked);
        }
        drop(self.screen);
        left.min(self.waiting.load(Ordering::Relaxed))
    }

    fn heed(&mut self, read: &[u8]) -> Option<Happening> {
        let (asked, at) = self.asked;
        let asked = if at.elapsed() > ANSWERED { 0 } else { asked };
        let cut = self.key.cut(read);
        let typed = cut.unwrap_or(read);
        let mut answered = 0;
        for part in parts(typed, asked) {
            match part {
                Part::Answer(answer) => {
                    answered += 1;
                    self.send(Stroke::Answer(answer.to_vec()));
                }
                Part::Keys(keys) => self.type_in(keys),
            }
        }
        self.asked.0 = asked - answered;
        cut.map(|_| Happening::Detach)
    }

    /// Keys that have no room are not taken, and a bell says so.
    fn type_in(&self, keys: &[u8]) {
        let fits = self.waiting.load(Ordering::Relaxed) + keys.len() <= BYTES;
        self.waiting.fetch_add(keys.len(), Ordering::Relaxed);
        if !fits || self.strokes.try_send(Stroke::Keys(keys.to_vec())).is_err() {
            self.waiting.fetch_sub(keys.len(), Ordering::Relaxed);
            self.painter.paint(b"\x07".to_vec());
        }
    }

    fn send(&self, stroke: Stroke) {
        // A size that has no room is one of many, and an answer one that nobody waits for any more.
        let _ = self.strokes.try_send(stroke);
    }

    /// Why keys wait is in the title: the screen is the program's.
    fn tell(&mut self) {
        let suffix = match *self.trouble.borrow_and_update() {
            Trouble::None => "",
            Trouble::Away => " (nobody answers; keys wait)",
            Trouble::Busy => " (it does not read; keys wait)",
        };
        self.painter.paint(screen::title(&format!("{}{suffix}", self.title)));
    }

    /// Says something in the title, with a bell.
    pub fn call(&mut self, text: &str) {
        self.painter.paint([b"\x07".to_vec(), screen::title(&format!("{} ({text})", self.title))].concat());
    }
}

/// What a piece of output holds.
///
/// # Errors
/// The piece is not what the bus's contract says.
pub fn bytes(piece: Result<Output, Malformed>) -> anyhow::Result<Vec<u8>> {
    let piece = piece.context("a piece of output cannot be read")?;
    BASE64_STANDARD.decode(&piece.data).context("a piece of output is not base64")
}
