//! What leaves in one direction: judged payloads, in the very frames in which they came.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::frame::{Control, Flaw, Head, Signal, close, mask};

/// Frames whose payload was not judged yet.
const MOST_FRAMES: usize = 4096;
/// Bytes of control frames that wait for the end of a data frame.
const MOST_WAITING: usize = 16 << 10;

/// See the module.
pub(super) struct Outbox<W> {
    writer: W,
    ready: BytesMut,
    frames: VecDeque<Frame>,
    /// Control frames that came after a data frame of which only a part has left.
    waiting: BytesMut,
    is_closed: bool,
}

struct Frame {
    head: Head,
    done: u64,
    is_begun: bool,
}

impl<W: AsyncWrite + Unpin> Outbox<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            writer,
            ready: BytesMut::new(),
            frames: VecDeque::new(),
            waiting: BytesMut::new(),
            is_closed: false,
        }
    }

    /// Whether a Close has left, after which nothing may (RFC 6455, section 5.5.1).
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// A data frame has begun to arrive.
    ///
    /// # Errors
    /// [`Flaw::Crowded`].
    pub(super) fn expect(&mut self, head: Head) -> Result<(), Flaw> {
        if self.frames.len() >= MOST_FRAMES {
            return Err(Flaw::Crowded);
        }
        self.frames.push_back(Frame { head, done: 0, is_begun: false });
        Ok(())
    }

    /// The next bytes of the payloads of the frames that were announced may leave.
    pub(super) fn release(&mut self, mut payload: &[u8]) {
        while let Some(frame) = self.frames.front_mut() {
            if payload.is_empty() && frame.head.length > 0 {
                return;
            }
            if !std::mem::replace(&mut frame.is_begun, true) {
                self.ready.extend_from_slice(&frame.head.raw);
            }
            let left = frame.head.length - frame.done;
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(payload.len());
            let start = self.ready.len();
            self.ready.extend_from_slice(&payload[..step]);
            mask(&mut self.ready[start..], frame.head.key, frame.done);
            frame.done += step as u64;
            payload.advance(step);
            if frame.done < frame.head.length {
                return;
            }
            self.frames.pop_front();
            self.ready.unsplit(self.waiting.split());
        }
    }

    /// A control frame may leave, as soon as no data frame is in the way.
    ///
    /// # Errors
    /// [`Flaw::Crowded`].
    pub(super) fn control(&mut self, control: &Control) -> Result<(), Flaw> {
        self.is_closed |= control.signal == Signal::Close;
        let queue = if self.is_within_frame() { &mut self.waiting } else { &mut self.ready };
        queue.extend_from_slice(&control.head.raw);
        let start = queue.len();
        queue.extend_from_slice(&control.payload);
        mask(&mut queue[start..], control.head.key, 0);
        if self.waiting.len() > MOST_WAITING { Err(Flaw::Crowded) } else { Ok(()) }
    }

    /// Sends what may leave. If it is cut off, the rest stays.
    ///
    /// # Errors
    /// The writer's own.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.ready.is_empty() {
            if self.writer.write_buf(&mut self.ready).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.writer.flush().await
    }

    /// Sends nothing more, after a last Close with this code and reason if there can be one.
    ///
    /// # Errors
    /// The writer's own.
    pub(super) async fn end(&mut self, goodbye: Option<(u16, &str, Option<[u8; 4]>)>) -> io::Result<()> {
        if let Some((code, reason, key)) = goodbye
            && !self.is_closed
            && !self.is_within_frame()
        {
            self.is_closed = true;
            self.ready.extend_from_slice(&close(code, reason, key));
        }
        self.flush().await?;
        self.writer.shutdown().await
    }

    fn is_within_frame(&self) -> bool {
        self.frames.front().is_some_and(|frame| frame.is_begun)
    }
}
