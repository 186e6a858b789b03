//! Connections to origins: dialled, verified, shared.
//!
//! An HTTP/1 connection is driven by the very task that waits for its answer, and by nobody while it rests in the
//! pool; this saves two changes of task for each request. Only when a request's body is still on its way as the
//! answer begins does the connection get a task of its own. An HTTP/2 connection always has one.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::bell::Bell;
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::{Outbound, Progress};
use crate::dial::Dialled;
use crate::patience::patiently;
use crate::pool::Shelf;
use crate::socket::Doubt;
use crate::timer::Timer;

/// A byte stream to an origin: TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Io = TokioIo<Box<dyn Stream>>;

/// A connection that speaks HTTP/1.1.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Outbound>,
    driver: Driver,
    bell: Bell,
    doubt: Doubt,
    /// For each answer in turn.
    timer: Timer,
}

/// What moves the bytes of a connection.
struct Driver {
    connection: Pin<Box<http1::Connection<Io, Outbound>>>,
    is_over: bool,
}

impl Driver {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_over && self.connection.as_mut().poll(cx).is_ready() {
            self.is_over = true;
        }
    }
}

/// A connection that speaks HTTP/2; its clones are streams of the same connection.
#[derive(Clone)]
pub(crate) struct Http2(http2::SendRequest<Outbound>);

/// A request that did not leave, so that it may leave on another connection, or the end of it.
pub(crate) enum Unsent {
    /// Nothing of it was sent.
    Request(Box<Request<Outbound>>),
    /// It was sent, at least in part.
    Error(hyper::Error),
    /// It was sent, and the idle time passed in silence.
    Silence,
}

impl From<TrySendError<Request<Outbound>>> for Unsent {
    fn from(mut error: TrySendError<Request<Outbound>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Request(Box::new(request)),
            None => Self::Error(error.into_error()),
        }
    }
}

impl Http1 {
    /// Begins to speak HTTP/1.1.
    ///
    /// # Errors
    /// hyper's own.
    pub(crate) async fn begin(dialled: Dialled, header_bytes: usize) -> hyper::Result<Self> {
        let (sender, driver) = builder(header_bytes).handshake(TokioIo::new(dialled.stream)).await?;
        let driver = Driver { connection: Box::pin(driver), is_over: false };
        Ok(Self { sender, driver, bell: Bell::new(), doubt: dialled.doubt, timer: Timer::default() })
    }

    /// Whether a rested connection can take a request. Whatever the origin sent meanwhile, unasked, makes it unfit: it
    /// would be taken for the next answer.
    pub(crate) async fn is_fit(&mut self) -> bool {
        self.doubt.raise();
        poll_fn(|cx| {
            self.bell.poll(cx, |cx| {
                self.driver.drive(cx);
                Poll::Ready(!self.driver.is_over && self.sender.is_ready())
            })
        })
        .await
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// With the request, if it can be sent again elsewhere.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outbound>,
        progress: &Progress,
        idle: Duration,
    ) -> Result<Response<Incoming>, Unsent> {
        let Self { sender, driver, bell, timer, .. } = self;
        let mut answer = std::pin::pin!(bell.muffle(|| sender.try_send_request(request)));
        let driven = poll_fn(|cx| {
            bell.poll(cx, |cx| {
                driver.drive(cx);
                answer.as_mut().poll(cx)
            })
        });
        Ok(patiently(timer, idle, progress, driven).await.ok_or(Unsent::Silence)??)
    }

    /// Gives the connection to a task of its own; it ends with the exchange.
    pub(crate) fn release(self, life: &Lifecycle) {
        let Self { mut sender, driver: Driver { mut connection, .. }, .. } = self;
        life.spawn(async move {
            // The sender keeps the connection open: now for its answer, afterwards for nothing.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = sender.ready() => {}
            }
            drop(sender);
            let _ = connection.await;
        });
    }
}

impl Http2 {
    /// Begins to speak HTTP/2.
    ///
    /// # Errors
    /// hyper's own.
    pub(crate) async fn begin(
        stream: Box<dyn Stream>,
        header_bytes: usize,
        life: &Lifecycle,
    ) -> hyper::Result<Self> {
        let mut builder = http2::Builder::new(Owned(life.clone()));
        builder.timer(hyper_util::rt::TokioTimer::new());
        builder.max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        life.spawn(driver);
        Ok(Self(sender))
    }

    /// Whether it can take another stream.
    pub(crate) fn is_fit(&self) -> bool {
        !self.0.is_closed()
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// With the request, if it can be sent again elsewhere.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outbound>,
        progress: &Progress,
        idle: Duration,
    ) -> Result<Response<Incoming>, Unsent> {
        let answer = self.0.try_send_request(request);
        Ok(patiently(&mut Timer::default(), idle, progress, answer).await.ok_or(Unsent::Silence)??)
    }
}

/// Sends one request on a connection of its own that may become something else (RFC 9110, section 7.8).
///
/// # Errors
/// hyper's own.
pub(crate) async fn send_upgrade(
    stream: Box<dyn Stream>,
    request: Request<Outbound>,
    header_bytes: usize,
    life: &Lifecycle,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, driver) = builder(header_bytes).handshake(TokioIo::new(stream)).await?;
    life.spawn(driver.with_upgrades());
    sender.send_request(request).await
}

fn builder(header_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(true)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes.max(MIN_BUFFER));
    builder
}

/// hyper reads no less than this at once.
pub(crate) const MIN_BUFFER: usize = 64 * 1024;

/// Where a response's body comes from.
pub(crate) enum Source {
    /// From a connection that somebody else drives.
    Driven(Incoming),
    /// From a connection that is driven by whoever reads the body, and rests afterwards.
    Driving(Driving),
}

/// A body and the connection it comes from.
pub(crate) struct Driving {
    body: Incoming,
    connection: Option<Box<Http1>>,
    shelf: Arc<Shelf>,
    ended: bool,
}

impl Source {
    /// The body of an answer that came over `connection`, which rests on `shelf` afterwards.
    pub(crate) fn driving(body: Incoming, connection: Box<Http1>, shelf: Arc<Shelf>) -> Self {
        Self::Driving(Driving { body, connection: Some(connection), shelf, ended: false })
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self {
            Self::Driven(body) => Pin::new(body).poll_frame(cx),
            Self::Driving(driving) => driving.poll_frame(cx),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Driven(body) => body.is_end_stream(),
            Self::Driving(driving) => driving.body.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Driven(body) => body.size_hint(),
            Self::Driving(driving) => driving.body.size_hint(),
        }
    }
}

impl Driving {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { body, connection, .. } = self;
        let frame = match connection {
            None => ready!(Pin::new(body).poll_frame(cx)),
            Some(connection) => ready!(connection.bell.poll(cx, |cx| {
                let frame = Pin::new(&mut *body).poll_frame(cx);
                if frame.is_ready() {
                    return frame;
                }
                // The body has asked for more; now its connection can read it.
                connection.driver.drive(cx);
                Pin::new(&mut *body).poll_frame(cx)
            })),
        };
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && (self.ended || self.body.is_end_stream())
            && !connection.driver.is_over
        {
            self.shelf.rest(connection);
        }
    }
}

/// Gives hyper's own tasks an owner.
#[derive(Clone)]
pub(crate) struct Owned(pub(crate) Lifecycle);

impl<F> hyper::rt::Executor<F> for Owned
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::dial::Speaks;
    use crate::socket::pair;

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_makes_a_rested_connection_unfit() {
        let (socket, mut origin) = pair().await;
        let doubt = socket.doubt();
        let dialled = Dialled { stream: Box::new(socket), speaks: Speaks::Http1, doubt };
        let mut connection = Http1::begin(dialled, MIN_BUFFER).await.unwrap();
        assert!(connection.is_fit().await);
        // Nothing is awaited in between, so only the kernel knows of it.
        origin.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert!(!connection.is_fit().await);
    }
}
