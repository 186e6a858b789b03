//! One connection from the agent, as bytes: what was read ahead is given back, movement is counted, and the framing
//! of HTTP/1 is watched.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::framing::{Flaw, Framing};

/// How long an agent that was answered may go on sending before its connection is broken.
const LINGER: Duration = Duration::from_secs(2);

/// A stream with a [`Gauge`].
#[derive(Debug)]
pub(crate) struct Wire<S> {
    inner: S,
    ahead: Bytes,
    framing: Option<Framing>,
    gauge: Arc<Gauge>,
    /// Until when it still reads what the agent goes on sending after the last answer.
    lingers: Option<Pin<Box<Sleep>>>,
}

/// What others may know about a [`Wire`] while hyper owns it.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    read: AtomicU64,
    written: AtomicU64,
    in_head: AtomicBool,
    heads: AtomicU32,
    served: AtomicU32,
    flaw: OnceLock<(u32, Flaw)>,
}

/// Why a connection is closed for its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Nothing moved for the idle time.
    Idle,
    /// A request head was begun and not completed.
    Head,
}

impl<S> Wire<S> {
    /// Wraps a stream.
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, ahead: Bytes::new(), framing: None, gauge: Arc::default(), lingers: None }
    }

    /// The same stream, from here on watched as HTTP/1 with lines of at most `limit` bytes. What was read ahead is
    /// watched as well.
    pub(crate) fn framed(mut self, limit: usize) -> Self {
        let mut framing = Framing::new(limit);
        self.gauge = Arc::default();
        self.gauge.note(&mut framing, &self.ahead);
        self.framing = Some(framing);
        self
    }

    /// The same stream without its watch and with a new gauge, and with bytes that somebody else had read from it
    /// already.
    pub(crate) fn unframed(mut self, ahead: Bytes) -> Self {
        self.framing = None;
        self.gauge = Arc::default();
        self.ahead = ahead;
        self
    }

    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// The next byte, which stays unread; `None` at the end of the stream. It waits for as long as that takes.
    ///
    /// # Errors
    /// The stream's own.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_empty() {
            let mut buffer = BytesMut::with_capacity(4096);
            self.inner.read_buf(&mut buffer).await?;
            self.ahead = buffer.freeze();
        }
        Ok(self.ahead.first().copied())
    }
}

impl Gauge {
    fn note(&self, framing: &mut Framing, bytes: &[u8]) {
        let seen = framing.feed(bytes);
        let heads = self.heads.fetch_add(seen.heads, Ordering::Relaxed) + seen.heads;
        self.in_head.store(framing.in_head(), Ordering::Relaxed);
        if let Some(flaw) = seen.flaw {
            // There is only one: a flawed connection is watched no further.
            let _ = self.flaw.set((heads, flaw));
        }
    }

    /// To be called once for each request that hyper hands out, in order: whether its framing was in order.
    ///
    /// # Errors
    /// The flaw of this request or of an earlier one.
    pub(crate) fn next_request(&self) -> Result<(), Flaw> {
        let index = self.served.fetch_add(1, Ordering::Relaxed);
        match self.flaw.get() {
            Some((at, flaw)) if index >= *at => Err(*flaw),
            _ => Ok(()),
        }
    }

    /// Bytes read from and written to the agent.
    pub(crate) fn moved(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed))
    }

    /// Completes when nothing has moved for `idle`, at most an eighth of it later.
    pub(crate) async fn stalled(&self, idle: Duration) {
        let mut last = (self.moved(), Instant::now());
        while last.1.elapsed() < idle {
            sleep(idle / 8).await;
            let moved = self.moved();
            if moved != last.0 {
                last = (moved, Instant::now());
            }
        }
    }

    /// Completes after `limit`, unless `bytes` have been read by then.
    pub(crate) async fn lags(&self, bytes: u64, limit: Duration) {
        sleep(limit).await;
        if self.read.load(Ordering::Relaxed) >= bytes {
            std::future::pending::<()>().await;
        }
    }

    fn wrote(&self, written: &io::Result<usize>) {
        if let Ok(bytes) = written {
            self.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }

    /// Completes when the connection has been silent for `idle`, or a head has been incomplete for at least `head`
    /// and at most twice that.
    pub(crate) async fn expired(&self, idle: Duration, head: Duration) -> Expired {
        let tick = head.min(idle);
        let mut last = (self.moved(), Instant::now());
        let mut open_head = None;
        loop {
            sleep(tick).await;
            let heads = self.heads.load(Ordering::Relaxed);
            let open = self.in_head.load(Ordering::Relaxed) || heads == 0;
            if open && open_head == Some(heads) {
                return Expired::Head;
            }
            open_head = open.then_some(heads);
            let moved = self.moved();
            if moved != last.0 {
                last = (moved, Instant::now());
            } else if last.1.elapsed() >= idle {
                return Expired::Idle;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let step = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..step]);
            this.ahead.advance(step);
            this.gauge.read.fetch_add(step as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.gauge.read.fetch_add(new.len() as u64, Ordering::Relaxed);
            if let Some(framing) = &mut this.framing {
                this.gauge.note(framing, new);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads to the agent's end, for a while, and drops what it reads.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingers = self.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut dropped = [0; 16 << 10];
        while lingers.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut dropped);
            let read = std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        self.gauge.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Of HTTP/1, this is the end in both directions. An agent that is still sending a body would have the connection
    /// broken under it, and might never read the answer: what it sends is read for a while (RFC 9112, section 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            std::task::ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        }
        if self.framing.is_some() {
            std::task::ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        self.gauge.wrote(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    const IDLE: Duration = Duration::from_secs(300);
    const HEAD: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn gives_back_what_was_read_ahead() {
        let (mut near, far) = tokio::io::duplex(64);
        near.write_all(b"hello").await.unwrap();
        drop(near);
        let mut wire = Wire::new(far);
        assert_eq!(wire.peek().await.unwrap(), Some(b'h'));
        assert_eq!(wire.peek().await.unwrap(), Some(b'h'));
        let mut text = String::new();
        wire.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        assert_eq!(wire.peek().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_flaw_belongs_to_its_request_and_all_later_ones() {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n").await.unwrap();
        drop(near);
        let mut wire = Wire::new(far).framed(100);
        let gauge = wire.gauge();
        wire.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(
            [gauge.next_request(), gauge.next_request(), gauge.next_request()],
            [Ok(()), Err(Flaw::Folded), Err(Flaw::Folded)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfinished_head_expires_however_slowly_it_grows() {
        let (mut near, far) = tokio::io::duplex(1024);
        let mut wire = Wire::new(far).framed(100);
        let gauge = wire.gauge();
        let drip = async {
            loop {
                near.write_all(b"a").await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        };
        let read = async { wire.read_to_end(&mut Vec::new()).await };
        let begun = Instant::now();
        tokio::select! {
            expired = gauge.expired(IDLE, HEAD) => assert_eq!(expired, Expired::Head),
            () = drip => {}
            _ = read => {}
        }
        assert!(begun.elapsed() <= HEAD * 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_between_requests_is_idle() {
        let (mut near, far) = tokio::io::duplex(1024);
        let mut wire = Wire::new(far).framed(100);
        let gauge = wire.gauge();
        near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let begun = Instant::now();
        let read = async { wire.read_to_end(&mut Vec::new()).await };
        tokio::select! {
            expired = gauge.expired(IDLE, HEAD) => assert_eq!(expired, Expired::Idle),
            _ = read => {}
        }
        assert!(begun.elapsed() >= IDLE && begun.elapsed() <= IDLE + HEAD * 2, "{:?}", begun.elapsed());
    }
}
