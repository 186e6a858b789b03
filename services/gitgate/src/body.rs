//! A request's body: unpacked where it was packed, bounded in size and in silence, in pieces as they come.

use std::io::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

/// Packed bytes that are unpacked at once: they become at most a thousand times as many.
const BITE: usize = 4 << 10;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// It is over its limit.
    #[error("the request is larger than {limit} bytes")]
    Large {
        /// What it may have.
        limit: u64,
    },
    /// Nothing came.
    #[error("nothing came for {} seconds", idle.as_secs())]
    Silent {
        /// For so long.
        idle: Duration,
    },
    /// The client went away.
    #[error("the client went away in the middle")]
    Cut,
    /// It was packed in another way, or badly.
    #[error("the request's body is not packed as gzip, or not packed well")]
    Packed,
}

/// See the module.
pub(crate) struct Upload {
    incoming: Incoming,
    gzip: Option<GzDecoder<Vec<u8>>>,
    packed: Bytes,
    limit: u64,
    taken: u64,
    idle: Duration,
}

impl Upload {
    /// # Errors
    /// [`Broken::Packed`]: in a way that is not known.
    pub(crate) fn new(
        headers: &HeaderMap,
        incoming: Incoming,
        limit: u64,
        idle: Duration,
    ) -> Result<Self, Broken> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(http::HeaderValue::as_bytes);
        let gzip = match (codings.next(), codings.next()) {
            (None | Some(b"identity"), None) => None,
            (Some(b"gzip" | b"x-gzip"), None) => Some(GzDecoder::new(Vec::new())),
            _ => return Err(Broken::Packed),
        };
        Ok(Self { incoming, gzip, packed: Bytes::new(), limit, taken: 0, idle })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Broken`]
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if !self.packed.is_empty() {
                let piece = self.unpack()?;
                if !piece.is_empty() {
                    return self.count(piece).map(Some);
                }
                continue;
            }
            let frame = match timeout(self.idle, self.incoming.frame()).await {
                Err(_) => return Err(Broken::Silent { idle: self.idle }),
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(Broken::Cut),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) if self.gzip.is_some() => self.packed = data,
                Ok(data) if !data.is_empty() => return self.count(data).map(Some),
                // Trailers say nothing here.
                Ok(_) | Err(_) => {}
            }
        }
        match self.gzip.take().map(GzDecoder::finish).transpose() {
            Ok(None) => Ok(None),
            Ok(Some(rest)) if rest.is_empty() => Ok(None),
            Ok(Some(rest)) => self.count(rest.into()).map(Some),
            Err(_) => Err(Broken::Packed),
        }
    }

    /// Everything that is still to come, read and thrown away, so that the client hears the answer. Gives up after
    /// `most` bytes and when nothing comes.
    pub(crate) async fn drain(&mut self, most: u64) {
        self.gzip = None;
        self.packed = Bytes::new();
        let mut left = most;
        while let Ok(Some(Ok(frame))) = timeout(self.idle, self.incoming.frame()).await {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    fn unpack(&mut self) -> Result<Bytes, Broken> {
        let Some(gzip) = &mut self.gzip else { return Ok(Bytes::new()) };
        let bite = self.packed.split_to(self.packed.len().min(BITE));
        let mut rest: &[u8] = &bite;
        while !rest.is_empty() {
            match gzip.write(rest) {
                // What follows the end of the packed text belongs to nothing.
                Ok(0) | Err(_) => return Err(Broken::Packed),
                Ok(taken) => rest = &rest[taken..],
            }
        }
        Ok(std::mem::take(gzip.get_mut()).into())
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, Broken> {
        self.taken = self.taken.saturating_add(piece.len() as u64);
        if self.taken > self.limit { Err(Broken::Large { limit: self.limit }) } else { Ok(piece) }
    }
}

/// Reads on until there are so many bytes, or the end.
pub(crate) async fn fill(upload: &mut Upload, arrived: &mut BytesMut, count: usize) -> Result<bool, Broken> {
    while arrived.len() < count {
        let Some(piece) = upload.next().await? else { return Ok(false) };
        arrived.extend_from_slice(&piece);
    }
    Ok(true)
}
