//! The page with the counts, on a socket of the host's file system: no address of it exists for an agent to reach, and
//! only the user whom the proxy runs as, and root, can open it.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base::lifecycle::Lifecycle;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Readers at once.
const READERS: usize = 4;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to accept while the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// OpenMetrics 1.0, section 4.
const KIND: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// A socket that nobody is answered on yet. Its file goes with the bottle's directory.
pub(crate) struct Page(UnixListener);

impl Page {
    /// Makes the socket, in the place of one that an earlier process left.
    ///
    /// # Errors
    /// The directory cannot be written, or the path is too long for a socket.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let left = std::fs::remove_file(path);
        if let Err(error) = left
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("removing an old {}", path.display()));
        }
        let listener =
            UnixListener::bind(path).with_context(|| format!("making the socket {}", path.display()))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
            .and_then(|()| listener.set_nonblocking(true))
            .with_context(|| format!("closing the socket {} to others", path.display()))?;
        Ok(Self(listener))
    }
}

/// Answers `GET /metrics` with what `text` says, until the lifecycle stops.
pub(crate) async fn serve(page: Page, text: impl Fn() -> String + Send + Sync + 'static, life: Lifecycle) {
    let (text, places) = (Arc::new(text), Arc::new(Semaphore::new(READERS)));
    let listener = match tokio::net::UnixListener::from_std(page.0) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the metrics cannot be served"),
    };
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = life.stopping() => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let text = Arc::clone(&text);
        life.spawn(async move {
            // A reader that hangs up or dawdles is no matter to anybody else.
            let _ = timeout(PATIENCE, answer(stream, &*text)).await;
            drop(place);
        });
    }
}

async fn answer(stream: UnixStream, text: impl Fn() -> String) -> hyper::Result<()> {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = respond(request.method(), request.uri().path(), &text);
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await
}

fn respond(method: &Method, path: &str, text: impl Fn() -> String) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET, "/metrics") => (StatusCode::OK, text()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "there is /metrics only\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    if status == StatusCode::OK {
        response.headers_mut().insert(CONTENT_TYPE, KIND);
    }
    *response.status_mut() = status;
    response
}
