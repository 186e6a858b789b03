//! A WebSocket that says every short message again (RFC 6455).

use base::lifecycle::Lifecycle;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a server appends to the client's key (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Payloads up to here have a header of two bytes and a key.
const SHORT: u8 = 125;

/// Agrees to a handshake, if the request is one. The socket lives until its client ends it.
pub(super) fn accept(request: &mut Request<Incoming>, owner: &Lifecycle) -> Option<Response<Full<Bytes>>> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    let accepted = BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let upgrade = hyper::upgrade::on(request);
    owner.spawn(async move {
        // A client that breaks its connection is that client's affair.
        if let Ok(socket) = upgrade.await {
            let _ = echo(TokioIo::new(socket)).await;
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accepted);
    answer.body(Full::default()).ok()
}

async fn echo(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    loop {
        let [first, second] = [socket.read_u8().await?, socket.read_u8().await? & 0x7f];
        if second > SHORT {
            return Ok(());
        }
        let mut key = [0; 4];
        socket.read_exact(&mut key).await?;
        let mut payload = vec![0; usize::from(second)];
        socket.read_exact(&mut payload).await?;
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        socket.write_all(&[&[first, second], payload.as_slice()].concat()).await?;
        socket.flush().await?;
    }
}
