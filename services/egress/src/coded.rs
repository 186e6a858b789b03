//! A body with a content coding: it is judged as it unpacks, and passes on as it came.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use scan::coding::{Bounds, CodingError, Codings, Decoder, Progress};

/// See the module.
pub(crate) struct Coded {
    decoder: Decoder,
    /// What is being unpacked, and how much of it is done.
    chunk: Bytes,
    used: usize,
    /// Unpacked chunks, each with where it ends in the unpacked body.
    waiting: VecDeque<(Bytes, u64)>,
    unpacked: u64,
    judged: u64,
    room: Vec<u8>,
}

impl Coded {
    /// For a body with these headers, which may unpack into `bytes`; `None` if it is as it stands.
    ///
    /// # Errors
    /// It has a coding that cannot be undone, or too many.
    pub(crate) fn new(headers: &HeaderMap, bytes: u64) -> Result<Option<Self>, CodingError> {
        let codings = Codings::parse(headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        if codings.is_identity() {
            return Ok(None);
        }
        Ok(Some(Self {
            decoder: Decoder::new(&codings, Bounds { bytes, ..Bounds::default() })?,
            chunk: Bytes::new(),
            used: 0,
            waiting: VecDeque::new(),
            unpacked: 0,
            judged: 0,
            room: Vec::new(),
        }))
    }

    /// The next chunk, to be unpacked as long as it [is busy](Self::is_busy).
    pub(crate) fn take(&mut self, chunk: Bytes) {
        self.chunk = chunk;
        self.used = 0;
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.chunk.is_empty()
    }

    /// Unpacks one piece, to be judged.
    ///
    /// # Errors
    /// It is not what its coding says, or too much.
    pub(crate) fn unpack(&mut self) -> Result<&[u8], CodingError> {
        self.room.clear();
        let mut input = &self.chunk[self.used..];
        let progress = self.decoder.step(&mut input, &mut self.room)?;
        self.used = self.chunk.len() - input.len();
        self.unpacked += self.room.len() as u64;
        if progress == Progress::Hungry {
            self.waiting.push_back((std::mem::take(&mut self.chunk), self.unpacked));
        }
        Ok(&self.room)
    }

    /// So many more unpacked bytes may pass.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.judged += bytes as u64;
    }

    /// A chunk of which all may pass.
    pub(crate) fn release(&mut self) -> Option<Bytes> {
        let (_, end) = self.waiting.front()?;
        (*end <= self.judged).then(|| self.waiting.pop_front()).flatten().map(|(chunk, _)| chunk)
    }

    /// The body is over.
    ///
    /// # Errors
    /// Its coded data is not.
    pub(crate) fn finish(&mut self) -> Result<(), CodingError> {
        self.decoder.finish()
    }
}
