//! One batch on its way to the collector.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::endpoint::Endpoint;

/// Why a collector did not take a batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("it cannot be reached")]
    Unreachable(#[from] std::io::Error),
    #[error("it does not answer as HTTP does")]
    Broken(#[from] hyper::Error),
    #[error("it took too long")]
    Late,
    #[error("it answered {0}")]
    Status(StatusCode),
}

impl PostError {
    /// Whether the same batch may be taken later (OTLP/HTTP, "Retryable Response Codes").
    pub(crate) fn is_passing(&self) -> bool {
        !matches!(self, Self::Status(status) if !matches!(status.as_u16(), 429 | 502..=504))
    }
}

/// Posts one body over a connection of its own: batches are seconds apart, and nothing has to be kept open for them.
pub(crate) async fn post(endpoint: &Endpoint, body: Vec<u8>) -> Result<(), PostError> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut request = Request::post(&endpoint.path).body(Full::<Bytes>::from(body)).expect("a checked path");
    let headers = request.headers_mut();
    headers.insert(header::HOST, endpoint.authority.parse().expect("a checked authority"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    let answer = sender.send_request(request);
    tokio::pin!(connection, answer);
    let answer = tokio::select! {
        // An answer that has come counts, even where the connection ended with it.
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    };
    let status = answer?.status();
    if status.is_success() { Ok(()) } else { Err(PostError::Status(status)) }
}
