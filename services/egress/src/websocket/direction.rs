//! One direction of a WebSocket: frames in, whole messages judged, the same frames out.

use std::collections::VecDeque;
use std::future::Future;
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::frame::{Control, Data, Event, Flaw, Kind, Parser, Sender, Signal};
use super::judge::Judge;
use super::outbox::Outbox;
use crate::refusal::Refusal;

/// Messages of up to this size are judged as a whole before any of them leaves.
const COLLECTED: usize = 64 << 10;
/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;
/// Bytes that are read ahead while a message waits for its judgement, so that control frames go on.
const AHEAD: usize = 64 << 10;

/// Why a WebSocket ends before both sides have ended it.
#[derive(Debug)]
pub(super) enum End {
    /// A message must not go on.
    Refused(Refusal),
    /// One side does not speak the protocol.
    Broken(Sender, Flaw),
    /// One side hung up.
    Gone,
    /// Nothing moved for the idle time, or the bottle ends.
    Over,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// See the module.
pub(super) struct Direction<R, W, J> {
    source: Source<R>,
    outbox: Outbox<W>,
    messages: J,
    /// Control frames carry up to 125 bytes, which could be anything. They are judged apart: they do not interrupt what
    /// is split over messages.
    controls: J,
    collected: Vec<u8>,
    /// Whether the message has grown beyond [`COLLECTED`].
    is_large: bool,
}

/// One side's frames.
struct Source<R> {
    reader: R,
    sender: Sender,
    parser: Parser,
    arrived: BytesMut,
    backlog: VecDeque<Event>,
    ahead: usize,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, J: Judge> Direction<R, W, J> {
    /// From `sender`, who is read, to whoever is written to. `judge` makes a judge with a memory of its own.
    pub(super) fn new(sender: Sender, reader: R, writer: W, judge: impl Fn() -> J) -> Self {
        Self {
            source: Source::new(reader, sender),
            outbox: Outbox::new(writer),
            messages: judge(),
            controls: judge(),
            collected: Vec::new(),
            is_large: false,
        }
    }

    /// Runs until the sender has hung up after all it had to say.
    ///
    /// # Errors
    /// Why nothing more goes on.
    pub(super) async fn run(&mut self) -> Result<(), End> {
        while let Some(event) = self.source.next().await? {
            match event {
                // After a Close nothing follows (RFC 6455, section 5.5.1).
                _ if self.outbox.is_closed() => {}
                Event::Control(control) => {
                    pass(&mut self.controls, &mut self.outbox, self.source.sender, control).await?;
                }
                Event::Data(data) => self.data(data).await?,
            }
        }
        Ok(self.outbox.end(None).await?)
    }

    /// Ends the direction with a Close, and reads what is still on its way, so that the Close arrives.
    pub(super) async fn hang_up(&mut self, code: u16, reason: &str, key: Option<[u8; 4]>) {
        // A side that is gone needs no goodbye.
        let _ = self.outbox.end(Some((code, reason, key))).await;
        self.source.drain().await;
    }

    async fn data(&mut self, data: Data) -> Result<(), End> {
        let Data { head, kind, payload, is_last } = data;
        if let Some(head) = head {
            self.outbox.expect(head).map_err(|flaw| End::Broken(self.source.sender, flaw))?;
        }
        if !self.messages.looks_at(kind) {
            self.outbox.release(&payload);
            return Ok(self.outbox.flush().await?);
        }
        if self.is_large {
            self.messages.push(&payload)?;
            return self.stretch(is_last).await;
        }
        self.collected.extend_from_slice(&payload);
        if is_last {
            self.whole(kind).await
        } else if self.collected.len() >= COLLECTED {
            self.is_large = true;
            let first = std::mem::take(&mut self.collected);
            let Self { source, outbox, messages, controls, .. } = self;
            meanwhile(source, outbox, controls, messages.begin(kind, &first)).await?;
            self.stretch(false).await
        } else {
            Ok(())
        }
    }

    async fn whole(&mut self, kind: Kind) -> Result<(), End> {
        let mut message = std::mem::take(&mut self.collected);
        let Self { source, outbox, messages, controls, .. } = self;
        meanwhile(source, outbox, controls, messages.judge(kind, &mut message)).await?;
        self.outbox.release(&message);
        Ok(self.outbox.flush().await?)
    }

    async fn stretch(&mut self, is_last: bool) -> Result<(), End> {
        if is_last {
            self.messages.end()?;
            self.is_large = false;
        }
        let Self { source, outbox, messages, controls, .. } = self;
        while let Some(judged) = meanwhile(source, outbox, controls, messages.next()).await? {
            outbox.release(&judged);
            outbox.flush().await?;
        }
        if is_last {
            // A last frame may be empty.
            outbox.release(&[]);
            outbox.flush().await?;
        }
        Ok(())
    }
}

/// Waits for a judgement, perhaps a person's; meanwhile control frames go on in this direction as well, so that both
/// sides see that the other one lives.
async fn meanwhile<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, J: Judge, T>(
    source: &mut Source<R>,
    outbox: &mut Outbox<W>,
    controls: &mut J,
    judgement: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, End> {
    let mut judgement = std::pin::pin!(judgement);
    loop {
        let event = tokio::select! {
            biased;
            judged = judgement.as_mut() => return Ok(judged?),
            event = source.read(), if source.has_room() => event?,
        };
        match event {
            Some(Event::Control(control)) if control.signal != Signal::Close => {
                pass(controls, outbox, source.sender, control).await?;
            }
            Some(event) => source.put_back(event),
            None => return Err(End::Gone),
        }
    }
}

async fn pass<W: AsyncWrite + Unpin>(
    judge: &mut impl Judge,
    outbox: &mut Outbox<W>,
    sender: Sender,
    mut control: Control,
) -> Result<(), End> {
    // The reason of a Close is a text that is shown (RFC 6455, section 5.5.1).
    let kind = if control.signal == Signal::Close { Kind::Text } else { Kind::Binary };
    if !control.payload.is_empty() && judge.looks_at(kind) {
        judge.judge(kind, &mut control.payload).await?;
    }
    outbox.control(&control).map_err(|flaw| End::Broken(sender, flaw))?;
    Ok(outbox.flush().await?)
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(reader: R, sender: Sender) -> Self {
        let parser = Parser::new(sender);
        Self { reader, sender, parser, arrived: BytesMut::new(), backlog: VecDeque::new(), ahead: 0 }
    }

    /// What was put back, or comes next.
    async fn next(&mut self) -> Result<Option<Event>, End> {
        match self.backlog.pop_front() {
            Some(event) => {
                self.ahead -= cost(&event);
                Ok(Some(event))
            }
            None => self.read().await,
        }
    }

    /// What comes next; `None` at the end. If it is cut off, nothing is lost.
    async fn read(&mut self) -> Result<Option<Event>, End> {
        loop {
            let event = self.parser.next(&mut self.arrived);
            if let Some(event) = event.map_err(|flaw| End::Broken(self.sender, flaw))? {
                return Ok(Some(event));
            }
            self.arrived.reserve(CHUNK);
            if let Ok(0) | Err(_) = self.reader.read_buf(&mut self.arrived).await {
                return Ok(None);
            }
        }
    }

    fn put_back(&mut self, event: Event) {
        self.ahead += cost(&event);
        self.backlog.push_back(event);
    }

    fn has_room(&self) -> bool {
        let is_over = matches!(self.backlog.back(), Some(Event::Control(_)));
        self.ahead < AHEAD && !is_over
    }

    async fn drain(&mut self) {
        loop {
            self.arrived.clear();
            self.arrived.reserve(CHUNK);
            if let Ok(0) | Err(_) = self.reader.read_buf(&mut self.arrived).await {
                return;
            }
        }
    }
}

/// What an event that waits takes of the room for such.
fn cost(event: &Event) -> usize {
    match event {
        Event::Data(data) => data.payload.len() + size_of::<Event>(),
        Event::Control(control) => control.payload.len() + size_of::<Event>(),
    }
}
