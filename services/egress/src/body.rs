//! Bodies on their way through: counted, bounded, never collected.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bus::message::egress::Found;
use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderName;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::connection::Source;
use crate::contents::Excerpt;
use crate::framing::Flaw;
use crate::headers::strip_trailers;
use crate::incoming::Screening;
use crate::inspect::Judged;
use crate::record::Exchange;
use crate::refusal::Refusal;
use crate::stall::Stall;

/// What the agent gets: a text of ours, or a stream from its origin.
pub(crate) enum Body {
    /// Ours.
    Text(Full<Bytes>),
    /// The origin's.
    Stream(Box<Inbound>),
}

impl Body {
    /// A short text.
    pub(crate) fn text(text: String) -> Self {
        Self::Text(Full::new(text.into()))
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::Text(Full::default())
    }
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body stood still for too long")]
    Stalled,
    #[error("the other side ended the body early")]
    Broken,
    #[error("the body holds what must not pass")]
    Refused,
}

/// What a request's body has done so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: AtomicU64,
    frames: AtomicU32,
    ended: AtomicBool,
    too_large: AtomicBool,
    broken: AtomicBool,
    refusal: Mutex<Option<Refusal>>,
}

impl Progress {
    /// Bytes forwarded.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Changes with every frame.
    pub(crate) fn frames(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn move_on(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the body has been read to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether it was cut for its size.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }

    /// Whether the agent broke it off, or framed it wrongly.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// It must not go on, for this reason.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// Why it must not go on; told once.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request's body on its way to the origin.
pub(crate) enum Outbound {
    /// As it comes.
    Plain(Plain),
    /// As far as it was judged.
    Judged(Judged),
}

impl Outbound {
    /// What it has done so far, also when somebody else owns it.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        match self {
            Self::Plain(plain) => plain.progress(),
            Self::Judged(judged) => judged.progress(),
        }
    }
}

impl http_body::Body for Outbound {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_frame(cx),
            Self::Judged(judged) => judged.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_end_stream(),
            Self::Judged(judged) => judged.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(plain) => plain.size_hint(),
            Self::Judged(judged) => judged.size_hint(),
        }
    }
}

/// A request's body as the agent sends it.
pub(crate) struct Plain {
    source: Incoming,
    progress: Arc<Progress>,
    limit: u64,
    guarded: Arc<[HeaderName]>,
    stall: Stall,
    excerpt: Option<Excerpt>,
}

impl Plain {
    /// `limit` bytes may pass; trailers lose what `strip_trailers` removes, the guarded headers among it.
    pub(crate) fn new(
        source: Incoming,
        limit: Option<u64>,
        idle: Duration,
        guarded: Arc<[HeaderName]>,
    ) -> Self {
        let progress = Arc::new(Progress::default());
        progress.ended.store(source.is_end_stream(), Ordering::Relaxed);
        let (limit, stall) = (limit.unwrap_or(u64::MAX), Stall::new(idle));
        Self { source, progress, limit, guarded, stall, excerpt: None }
    }

    /// Keeps the beginning of what passes.
    pub(crate) fn keep(&mut self, excerpt: Option<Excerpt>) {
        self.excerpt = excerpt;
    }

    /// These bytes of it were judged, and pass.
    pub(crate) fn passes(&self, bytes: &[u8]) {
        if let Some(excerpt) = &self.excerpt {
            excerpt.add(bytes);
        }
    }

    /// What it has done so far, also when somebody else owns it.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What the agent is told when its body was cut before it left.
    pub(crate) fn refusal(&self, cut: Cut) -> Refusal {
        match cut {
            Cut::TooLarge => Refusal::BodyTooLarge(self.limit),
            Cut::Stalled => Refusal::Malformed("its body stood still for too long".to_owned()),
            Cut::Broken | Cut::Refused => Refusal::Framing(Flaw::BrokenBody),
        }
    }
}

impl http_body::Body for Plain {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.source).poll_frame(cx) else {
            return this.stall.poll(cx).map(|cut| Some(Err(cut)));
        };
        this.stall.moved();
        let Some(frame) = frame else {
            this.progress.ended.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        };
        let Ok(mut frame) = frame else {
            this.progress.broken.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(Cut::Broken)));
        };
        this.progress.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            if this.progress.bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > this.limit {
                this.progress.too_large.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Cut::TooLarge)));
            }
        } else if let Some(trailers) = frame.trailers_mut() {
            strip_trailers(trailers, &this.guarded);
        }
        if this.source.is_end_stream() {
            this.progress.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

/// A response's body on its way to the agent.
pub(crate) struct Inbound {
    pub(crate) received: Received,
    /// None where nothing in it is looked for.
    pub(crate) screening: Option<Screening>,
}

/// A response's body as the origin sends it. When it ends or is dropped, its exchange is recorded.
pub(crate) struct Received {
    source: Source,
    exchange: Exchange,
    limit: u64,
    stall: Stall,
}

impl Received {
    pub(crate) fn new(source: Source, exchange: Exchange, limit: Option<u64>, idle: Duration) -> Self {
        Self { source, exchange, limit: limit.unwrap_or(u64::MAX), stall: Stall::new(idle) }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.source.is_end_stream()
    }

    /// Notes what was found in it.
    pub(crate) fn note(&mut self, found: Found) {
        self.exchange.note(found);
    }

    /// These bytes of it were judged, and pass.
    pub(crate) fn passes(&self, bytes: &[u8]) {
        if let Some(excerpt) = self.exchange.received() {
            excerpt.add(bytes);
        }
    }

    /// Keeps its head, if it may be logged.
    pub(crate) fn show(&mut self, headers: &HeaderMap) {
        self.exchange.show_answer(headers);
    }

    /// It does not go on, for this reason.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        self.exchange.cut(refusal);
    }

    /// What is still to be recorded of it.
    pub(crate) fn into_exchange(self) -> Exchange {
        self.exchange
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Poll::Ready(frame) = self.source.poll_frame(cx) else {
            return self.stall.poll(cx).map(|cut| Some(Err(cut)));
        };
        self.stall.moved();
        let Some(frame) = frame else {
            self.exchange.received().into_iter().for_each(Excerpt::end);
            return Poll::Ready(None);
        };
        let Ok(mut frame) = frame else { return Poll::Ready(Some(Err(Cut::Broken))) };
        if let Some(data) = frame.data_ref() {
            if self.exchange.count_received(data.len() as u64) > self.limit {
                return Poll::Ready(Some(Err(Cut::TooLarge)));
            }
        } else if let Some(trailers) = frame.trailers_mut() {
            strip_trailers(trailers, &[]);
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Self { received, screening } = &mut *self;
        match screening {
            None => received.poll_frame(cx),
            Some(screening) => screening.poll(received, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.screening.as_ref().map_or_else(|| self.received.is_over(), Screening::is_over)
    }

    fn size_hint(&self) -> SizeHint {
        self.screening.as_ref().map_or_else(|| self.received.source.size_hint(), Screening::size_hint)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            // A text of ours cannot fail.
            Self::Text(text) => Pin::new(text).poll_frame(cx).map_err(|_| Cut::Broken),
            Self::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// Whether a message announces a body over the limit.
pub(crate) fn announces_over(headers: &HeaderMap, limit: Option<u64>) -> Option<u64> {
    let length: u64 = headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    limit.filter(|limit| length > *limit)
}
