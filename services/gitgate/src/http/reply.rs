//! Answers. Errors of the protocol go out with status 200, since git shows those in full; a request that is none of git's
//! gets a status and plain text.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::route::{Route, Service, Wrong};
use crate::pktline;

/// An answer to a client.
pub(crate) type Reply = Response<BoxBody<Bytes, io::Error>>;

/// Pieces that wait for the client.
const WAITING: usize = 64;

/// Where an answer is written to while it is being sent.
pub(crate) struct Outbox {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    idle: Duration,
}

/// The client does not read any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl Outbox {
    /// Sends a piece, at the client's speed.
    pub(crate) async fn send(&self, piece: Bytes) -> Result<(), Gone> {
        match timeout(self.idle, self.pieces.send(Ok(piece))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Sends a piece unless too many wait already.
    pub(crate) fn offer(&self, piece: Bytes) {
        drop(self.pieces.try_send(Ok(piece)));
    }

    /// Completes when the client has hung up.
    pub(crate) async fn gone(&self) {
        self.pieces.closed().await;
    }

    /// Breaks the answer off, so that it is not taken for a whole one.
    pub(crate) async fn fail(self) {
        let _ = timeout(self.idle, self.pieces.send(Err(io::Error::other("the answer broke off")))).await;
    }
}

/// An answer that is written to the outbox; it waits for the client as long as `idle`.
pub(crate) fn outbox(idle: Duration) -> (Outbox, BoxBody<Bytes, io::Error>) {
    let (pieces, taken) = mpsc::channel(WAITING);
    (Outbox { pieces, idle }, Pieces(taken).boxed())
}

/// The other end of an outbox.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// An answer of git's protocol that is still being written.
pub(crate) fn streamed(route: &Route, body: BoxBody<Bytes, io::Error>) -> Reply {
    let kind = match route {
        Route::Advertise { service, .. } => format!("application/x-{}-advertisement", service.as_str()),
        Route::Serve { service, .. } => format!("application/x-{}-result", service.as_str()),
    };
    let mut reply = Response::new(body);
    let kind = HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("text/plain"));
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    reply
}

/// A whole answer of git's protocol.
pub(crate) fn complete(route: &Route, text: Vec<u8>) -> Reply {
    streamed(route, full(text.into()))
}

/// An answer that says nothing.
pub(crate) fn empty(route: &Route) -> Reply {
    complete(route, Vec::new())
}

/// An error that git shows as `fatal: remote error: …`.
pub(crate) fn error(route: &Route, reason: &str) -> Reply {
    let mut text = Vec::new();
    if let Route::Advertise { service, .. } = route {
        text = announcement(*service);
    }
    text.extend(pktline::error(reason));
    complete(route, text)
}

/// What an advertisement of the older protocols begins with.
pub(crate) fn announcement(service: Service) -> Vec<u8> {
    let mut text = Vec::new();
    pktline::put(&mut text, format!("# service={}\n", service.as_str()).as_bytes());
    pktline::flush(&mut text);
    text
}

/// An answer to a request that is none of git's.
pub(crate) fn refused(wrong: Wrong) -> Reply {
    plain(wrong.status(), &wrong.to_string(), wrong == Wrong::Lfs)
}

/// Plain text, which git shows after `remote:`, or what LFS clients read.
pub(crate) fn plain(status: StatusCode, text: &str, is_lfs: bool) -> Reply {
    let (kind, text) = if is_lfs {
        ("application/vnd.git-lfs+json", serde_json::json!({ "message": text }).to_string())
    } else {
        ("text/plain; charset=utf-8", format!("{text}\n"))
    };
    let mut reply = Response::new(full(text.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

fn full(text: Bytes) -> BoxBody<Bytes, io::Error> {
    Full::new(text).map_err(|never| match never {}).boxed()
}
