//! An ssh-agent with one key (draft-ietf-sshm-ssh-agent). It says which key it has and signs with it; everything else, such
//! as to add or to remove keys, it refuses.

use std::io;
use std::path::Path;
use std::sync::Arc;

use base::lifecycle::Lifecycle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::key::Key;
use super::local;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Bytes of one request.
const LONGEST: u32 = 256 << 10;

/// Serves the key on a socket.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn serve(path: &Path, key: Key, life: &Lifecycle) -> anyhow::Result<()> {
    let key = Arc::new(key);
    local::serve(path, life, move |stream| converse(stream, Arc::clone(&key)))
}

async fn converse(mut stream: UnixStream, key: Arc<Key>) -> io::Result<()> {
    loop {
        let length = match stream.read_u32().await {
            Ok(length @ 1..=LONGEST) => length,
            // Whoever asked has what it wanted, or does not speak the protocol.
            Ok(_) | Err(_) => return Ok(()),
        };
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await?;
        let answer = answer(&request, &key).unwrap_or_else(|| vec![FAILURE]);
        let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_u32(length).await?;
        stream.write_all(&answer).await?;
    }
}

/// What is said to a request. `None`: no.
fn answer(request: &[u8], key: &Key) -> Option<Vec<u8>> {
    let (kind, mut rest) = request.split_first()?;
    let public = key.public().ok()?;
    match *kind {
        REQUEST_IDENTITIES => {
            let mut answer = vec![IDENTITIES_ANSWER, 0, 0, 0, 1];
            put(&mut answer, &public)?;
            put(&mut answer, b"bot-bottle")?;
            Some(answer)
        }
        SIGN_REQUEST => {
            let (wanted, data) = (string(&mut rest)?, string(&mut rest)?);
            let flags = u32::from_be_bytes(rest.try_into().ok()?);
            if wanted != public {
                return None;
            }
            let signed =
                key.sign(data, flags).inspect_err(|error| tracing::warn!(%error, "cannot sign")).ok()?;
            let signature = Vec::<u8>::try_from(signed).ok()?;
            let mut answer = vec![SIGN_RESPONSE];
            put(&mut answer, &signature)?;
            Some(answer)
        }
        _ => None,
    }
}

/// Takes bytes with a length in front.
fn string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(text)
}

fn put(to: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    to.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
    to.extend_from_slice(text);
    Some(())
}

#[cfg(test)]
mod tests;
