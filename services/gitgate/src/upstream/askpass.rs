//! The token of an HTTPS upstream: `git` asks the program in `GIT_ASKPASS` for it, which is this one by another name, and
//! that asks here.

use std::path::Path;
use std::sync::Arc;

use base::Secret;
use base::lifecycle::Lifecycle;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::local;

/// What forges take for a user where the password is a token.
pub(super) const USER: &str = "oauth2";
/// The socket's name, beside the program's.
pub(crate) const SOCKET: &str = "askpass.socket";
/// Bytes of a question.
const QUESTION: u64 = 4096;

/// Answers `git`'s questions for this one host.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn serve(place: &Path, authority: &str, token: Secret, life: &Lifecycle) -> anyhow::Result<()> {
    let question: Arc<str> = format!("Password for 'https://{USER}@{authority}': ").into();
    local::serve(&place.join(SOCKET), life, move |stream| {
        answer(stream, Arc::clone(&question), token.clone())
    })
}

async fn answer(mut stream: UnixStream, question: Arc<str>, token: Secret) -> std::io::Result<()> {
    let mut asked = String::new();
    BufReader::new((&mut stream).take(QUESTION)).read_line(&mut asked).await?;
    if asked.trim_end_matches('\n') == &*question {
        stream.write_all(token.expose().as_bytes()).await?;
    }
    stream.shutdown().await
}
