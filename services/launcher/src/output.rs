//! The program's output, on its way to the bus.
//!
//! Each message is one piece of a program's two streams, or of what it writes to its terminal.
//!
//! A reader collects up to [`PIECE`] bytes or [`PATIENCE`] and puts the piece into a short queue; a publisher takes it
//! from there. When the bus is away the queue fills, the reader stops reading, the pipe fills, and the program waits.

mod allowance;
mod source;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::id::Slug;
use base64::Engine as _;
use bus::Bus;
use bus::message::Version;
use bus::message::run::{Output, OutputStream};
use manifest::provider::file::ResultFile;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::allowance::Allowance;
use self::source::Source;
use crate::client::{Answer, Reading};
use crate::terminal::Master;

/// Stands where the output of a stream is cut.
const CUT: &[u8] = "\n… output cut here\n".as_bytes();
/// The most bytes in one message.
const PIECE: usize = 32 * 1024;
/// How long bytes wait for more.
const PATIENCE: Duration = Duration::from_millis(50);
/// The same at a terminal, where a person waits for an echo: long enough for a screen that is drawn in many writes.
const AT_TERMINAL: Duration = Duration::from_millis(2);
/// What a whole piece of a terminal costs: 4 MiB a second are more than anybody reads, and no more are shown late.
const PACE: Duration = Duration::from_millis(8);
/// How many pieces wait for the bus.
const WAITING: usize = 64;
/// How much of the end of the output is kept as the run's result.
pub(crate) const TAIL: usize = 64 * 1024;
/// How long the last pieces may take after the program's end.
const DRAIN: Duration = Duration::from_secs(20);

/// The two streams of one program.
pub(crate) struct Pumps {
    tasks: JoinSet<()>,
    tails: [Arc<Mutex<Tail>>; 2],
    /// What the standard output means, where it has a form.
    reading: Option<Arc<Mutex<Reading>>>,
    /// The id of the conversation, as soon as the program tells it.
    session: watch::Sender<Option<String>>,
    /// Bytes of both streams that may still be published.
    left: Arc<AtomicU64>,
}

impl Pumps {
    /// Starts pumping at most `most` bytes, and reading what the standard output means; returns the ends that the program
    /// writes to, standard output first.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub(crate) fn start(
        bus: &Bus,
        bottle: &Slug,
        most: u64,
        result: Option<ResultFile>,
    ) -> io::Result<(Self, [OwnedFd; 2])> {
        let mut pumps = Self {
            tasks: JoinSet::new(),
            tails: Default::default(),
            reading: result.map(|result| Arc::new(Mutex::new(Reading::new(result)))),
            session: watch::Sender::new(None),
            left: Arc::new(most.into()),
        };
        let stdout = pumps.add(bus, bottle, OutputStream::Stdout)?;
        let stderr = pumps.add(bus, bottle, OutputStream::Stderr)?;
        Ok((pumps, [stdout, stderr]))
    }

    /// Starts pumping what a program writes to its terminal, `most` bytes at once and more as time goes on.
    pub(crate) fn at_terminal(bus: &Bus, bottle: &Slug, most: u64, terminal: Arc<Master>) -> Self {
        let mut pumps = Self {
            tasks: JoinSet::new(),
            tails: Default::default(),
            reading: None,
            session: watch::Sender::new(None),
            left: Arc::default(),
        };
        let (pieces, queue) = mpsc::channel(WAITING);
        pumps.tasks.spawn(read_terminal(Source::Terminal(terminal), pieces, Allowance::of(most)));
        pumps.tasks.spawn(publish(bus.clone(), bottle.clone(), OutputStream::Stdout, queue));
        pumps
    }

    fn add(&mut self, bus: &Bus, bottle: &Slug, stream: OutputStream) -> io::Result<OwnedFd> {
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        let (pieces, queue) = mpsc::channel(WAITING);
        let tail = self.tails[usize::from(stream == OutputStream::Stderr)].clone();
        let reading = self.reading.clone().filter(|_| stream == OutputStream::Stdout);
        let heard = Heard { tail, reading, session: self.session.clone(), left: self.left.clone() };
        self.tasks.spawn(read(Source::Pipe(reader), pieces, heard));
        self.tasks.spawn(publish(bus.clone(), bottle.clone(), stream, queue));
        Ok(writer.into())
    }

    /// Says the conversation's id as soon as the program has told it.
    pub(crate) fn session(&self) -> watch::Receiver<Option<String>> {
        self.session.subscribe()
    }

    /// Waits until everything was published, not for ever; returns what the program said. A screen says nothing.
    pub(crate) async fn finish(mut self) -> Said {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("the end of a program's output could not be published in time");
        }
        // A reader that still runs has the output of a program that is over: what it would read now is nothing.
        self.tasks.shutdown().await;
        let tails = self.tails.each_ref().map(|tail| lock(tail).text());
        let reading = self.reading.and_then(|reading| Arc::into_inner(reading)?.into_inner().ok());
        Said { tails, answer: reading.map(Reading::finish) }
    }
}

/// What a program said.
pub(crate) struct Said {
    /// The ends of its standard output and error.
    pub(crate) tails: [String; 2],
    /// What its output means, where it has a form.
    pub(crate) answer: Option<Answer>,
}

impl Said {
    /// The answer; where the output has no form the end of the standard output, or of the standard error when nothing
    /// came on the other.
    pub(crate) fn result(&self) -> Option<String> {
        match &self.answer {
            Some(answer) => answer.text.clone(),
            None => self.tails.iter().find(|text| !text.is_empty()).cloned(),
        }
    }
}

/// Where what is read goes, beside the bus.
struct Heard {
    tail: Arc<Mutex<Tail>>,
    reading: Option<Arc<Mutex<Reading>>>,
    session: watch::Sender<Option<String>>,
    left: Arc<AtomicU64>,
}

/// Reads to the end, whatever of it is published: the program is not to notice.
async fn read(mut pipe: Source, pieces: mpsc::Sender<Vec<u8>>, heard: Heard) {
    let mut cut = false;
    while let Some(mut piece) = collect(&mut pipe, PATIENCE).await {
        lock(&heard.tail).push(&piece);
        if let Some(reading) = &heard.reading {
            let mut reading = lock(reading);
            reading.push(&piece);
            if let Some(id) = reading.session().filter(|_| heard.session.borrow().is_none()) {
                heard.session.send_replace(Some(id.clone()));
            }
        }
        if !spend(&heard.left, piece.len() as u64) {
            if cut {
                continue;
            }
            cut = true;
            piece = CUT.to_vec();
        }
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

/// Reads to the end. A program that shows more than it may waits.
async fn read_terminal(mut terminal: Source, pieces: mpsc::Sender<Vec<u8>>, mut allowance: Allowance) {
    while let Some(piece) = collect(&mut terminal, AT_TERMINAL).await {
        let length = piece.len();
        allowance.spend(length as u64).await;
        if pieces.send(piece).await.is_err() {
            return;
        }
        if length == PIECE {
            tokio::time::sleep(PACE).await;
        }
    }
}

/// Whether that many bytes were left. Once they are not, nothing is: what is cut has one end.
fn spend(left: &AtomicU64, bytes: u64) -> bool {
    let spent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
    if spent.is_err() {
        left.store(0, Ordering::Relaxed);
    }
    spent.is_ok()
}

/// The next piece, once nothing more has come for a while; nothing at the end. What cannot be read has ended.
async fn collect(source: &mut Source, patience: Duration) -> Option<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE);
    let first = source.read(&mut piece, PIECE).await.ok()?;
    if first == 0 {
        return None;
    }
    let until = Instant::now() + patience;
    while piece.len() < PIECE {
        let room = PIECE - piece.len();
        match tokio::time::timeout_at(until, source.read(&mut piece, room)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => break,
        }
    }
    Some(piece)
}

async fn publish(bus: Bus, bottle: Slug, stream: OutputStream, mut queue: mpsc::Receiver<Vec<u8>>) {
    let mut offset = 0;
    while let Some(piece) = queue.recv().await {
        let data = base64::engine::general_purpose::STANDARD.encode(&piece);
        let message = Output { v: Version, bottle: bottle.clone(), stream, offset, data };
        // A piece that may have been stored is sent again: its offset tells a reader that it has it already.
        while let Err(error) = bus.publish(&message).await {
            tracing::warn!(bottle = %bottle, error = base::error::chain(&error), "output waits for the bus");
            tokio::time::sleep(PATIENCE).await;
        }
        offset += piece.len() as u64;
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while pushing leaves at worst less than was there.
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The last `LIMIT` bytes of a stream.
#[derive(Default)]
struct Tail<const LIMIT: usize = TAIL>(Vec<u8>);

impl<const LIMIT: usize> Tail<LIMIT> {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * LIMIT {
            self.0.drain(..self.0.len() - LIMIT);
        }
    }

    /// At most `LIMIT` bytes of text, beginning with a whole character.
    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.0[self.0.len().saturating_sub(LIMIT)..]).into_owned();
        let mut cut = text.len().saturating_sub(LIMIT);
        while !text.is_char_boundary(cut) {
            cut += 1;
        }
        text.drain(..cut);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tail_is_the_end(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut tail = Tail::<32>::default();
            pieces.iter().for_each(|piece| tail.push(piece));
            let all = pieces.concat();
            let text = tail.text();
            prop_assert!(text.len() <= 32);
            let end = String::from_utf8_lossy(&all[all.len().saturating_sub(32)..]).into_owned();
            prop_assert!(end.ends_with(&text));
        }
    }
}
