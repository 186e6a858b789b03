//! Whether a client still wants the answer to its request: its connection says so.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Travels with a request to whoever works on it.
#[derive(Clone)]
pub(super) struct HangUp(CancellationToken);

impl HangUp {
    /// The sign, and what gives it when it is dropped: with the request, or later with its response.
    pub(super) fn new() -> (Self, DropGuard) {
        let token = CancellationToken::new();
        (Self(token.clone()), token.drop_guard())
    }

    /// Completes when the client has hung up; never where that cannot be known.
    pub(super) async fn of(sign: Option<&Self>) {
        match sign {
            Some(sign) => sign.0.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// A response's body that is dropped with the connection.
pub(super) struct Heard {
    body: BoxBody<Bytes, Infallible>,
    _sign: DropGuard,
}

impl Heard {
    pub(super) fn new(body: BoxBody<Bytes, Infallible>, sign: DropGuard) -> Self {
        Self { body, _sign: sign }
    }
}

impl Body for Heard {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
