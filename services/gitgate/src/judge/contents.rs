//! What a file holds, looked at as it comes and as what it unpacks into.

use bytes::Bytes;
use scan::coding::{Bounds, Coding, CodingError, Codings, Decoder, Progress};
use scan::{Enabled, Next, Shape, Stream};

use super::archive::{self, HEAD, Method, Packing, ZIP_ENTRY};
use super::look::Look;
use super::place::Part;
use super::trouble::Trouble;

/// How often contents may be packed into each other.
const DEPTH: u8 = 3;
/// The largest zip file that is looked through, in bytes.
const ZIP: usize = 64 << 20;
/// Bytes of output for one of input: a little more than the densest that deflate can be.
const RATIO: u64 = 1100;
/// Bytes that two parts share that are given to gitleaks one after the other.
const SHARED: usize = 2 << 10;
/// What an entry's name is cut to, in characters.
const NAME: usize = 100;

/// Contents, or what they unpack into.
pub(crate) struct Contents {
    part: Part,
    depth: u8,
    stream: Stream,
    /// Lines that end before what the stream has not told of yet.
    lines: u64,
    /// The first bytes, until there are enough to tell the packing.
    head: Option<Vec<u8>>,
    inner: Option<Unpacking>,
    /// From the first entry of a zip file on.
    zip: Option<Vec<u8>>,
    /// The last bytes, in which an entry may have begun.
    tail: Vec<u8>,
    piece: u32,
    /// Whether some of it came before its end.
    has_begun: bool,
    /// What gitleaks was given last, and the line that it begins on.
    shared: (Vec<u8>, u64),
}

struct Unpacking {
    decoder: Decoder,
    inner: Box<Contents>,
    out: Vec<u8>,
}

impl Contents {
    pub(crate) fn new(look: &mut Look<'_>, part: Part, depth: u8) -> Self {
        let piece = look.piece(part.clone());
        Self {
            part,
            depth,
            stream: Stream::new(look.detectors(), Enabled::default(), Shape::Plain),
            lines: 0,
            head: Some(Vec::new()),
            inner: None,
            zip: None,
            tail: Vec::new(),
            piece,
            has_begun: false,
            shared: (Vec::new(), 1),
        }
    }

    /// More of it.
    pub(crate) fn push(&mut self, look: &mut Look<'_>, bytes: &[u8]) -> Result<(), Trouble> {
        self.has_begun = true;
        self.feed(look, bytes);
        self.stream.push(bytes);
        self.tell(look, None)?;
        self.open(look, bytes, false)
    }

    /// All of it at once, or the last of it.
    pub(crate) fn end(mut self, look: &mut Look<'_>, last: Vec<u8>) -> Result<(), Trouble> {
        self.feed(look, &last);
        let last = Bytes::from(last);
        let clean =
            self.stream.push_last(last.clone()).map_err(|error| look.unscannable(&self.part, &error))?;
        if clean.is_none() {
            self.tell(look, (!self.has_begun).then_some(&last))?;
        }
        self.open(look, &last, true)?;
        if let Some(unpacking) = self.inner.take() {
            unpacking.inner.end(look, Vec::new())?;
        }
        match self.zip.take() {
            Some(zip) => self.open_zip(look, &zip),
            None => Ok(()),
        }
    }

    /// Gives gitleaks what came, with a little of what came before.
    fn feed(&mut self, look: &mut Look<'_>, bytes: &[u8]) {
        let (mut text, line) = std::mem::take(&mut self.shared);
        let before = text.len();
        if before == 0 {
            look.second(self.piece, line, bytes);
        } else {
            text.extend_from_slice(bytes);
            look.second(self.piece, line, &text);
        }
        let all = if before == 0 { bytes } else { &text };
        let from = all.len().saturating_sub(SHARED);
        let lines = memchr::memchr_iter(b'\n', &all[..from]).count() as u64;
        self.shared = (all[from..].to_vec(), line + lines);
    }

    /// Notes what the stream tells.
    fn tell(&mut self, look: &mut Look<'_>, whole: Option<&[u8]>) -> Result<(), Trouble> {
        loop {
            match self.stream.poll().map_err(|error| look.unscannable(&self.part, &error))? {
                Next::Bytes(bytes) => self.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64,
                Next::Finding(finding) => {
                    look.found(&self.part, &finding, Some(self.lines + 1), whole);
                    self.stream.pass();
                }
                Next::More | Next::End => return Ok(()),
            }
        }
    }

    /// Goes on with what it unpacks into.
    fn open(&mut self, look: &mut Look<'_>, bytes: &[u8], is_last: bool) -> Result<(), Trouble> {
        self.watch_for_zip(look, bytes)?;
        match &mut self.head {
            None => self.unpack(look, bytes),
            Some(head) => {
                head.extend_from_slice(bytes);
                if head.len() < HEAD && !is_last {
                    return Ok(());
                }
                let head = self.head.take().unwrap_or_default();
                self.inner = match archive::packing(&head) {
                    Packing::None => None,
                    Packing::Closed(name) => return Err(look.closed(&self.part, name)),
                    Packing::Coded(coding) => Some(self.unpacking(look, coding)?),
                };
                self.unpack(look, &head)
            }
        }
    }

    fn deeper(&self, look: &Look<'_>) -> Result<u8, Trouble> {
        if self.depth == DEPTH {
            return Err(look.unscannable(&self.part, &format!("it is packed more than {DEPTH} times")));
        }
        Ok(self.depth + 1)
    }

    fn unpacking(&self, look: &mut Look<'_>, coding: Coding) -> Result<Unpacking, Trouble> {
        let depth = self.deeper(look)?;
        let name = coding.to_string();
        let codings =
            Codings::parse([name.as_bytes()]).map_err(|error| look.unscannable(&self.part, &error))?;
        let bounds = Bounds { ratio: RATIO, bytes: look.budget() };
        let decoder = Decoder::new(&codings, bounds).map_err(|error| look.unscannable(&self.part, &error))?;
        let inner = Box::new(Self::new(look, Part::Inside(name.into()), depth));
        Ok(Unpacking { decoder, inner, out: Vec::new() })
    }

    fn unpack(&mut self, look: &mut Look<'_>, mut bytes: &[u8]) -> Result<(), Trouble> {
        let Some(Unpacking { decoder, inner, out }) = &mut self.inner else { return Ok(()) };
        let ended = loop {
            let step = decoder.step(&mut bytes, out);
            look.spend(&self.part, out.len())?;
            inner.push(look, out)?;
            out.clear();
            match step {
                Ok(Progress::More) => {}
                Ok(Progress::Hungry) => return Ok(()),
                Err(error) => break error,
            }
        };
        match ended {
            CodingError::TooDense(_) | CodingError::TooLarge(_) => Err(look.unscannable(&self.part, &ended)),
            // Behind a fault nobody else unpacks anything either.
            _ => match self.inner.take() {
                Some(unpacking) => unpacking.inner.end(look, Vec::new()),
                None => Ok(()),
            },
        }
    }

    fn watch_for_zip(&mut self, look: &Look<'_>, bytes: &[u8]) -> Result<(), Trouble> {
        if let Some(zip) = &mut self.zip {
            if zip.len() + bytes.len() > ZIP {
                return Err(
                    look.unscannable(&self.part, &format!("it is a zip file of more than {ZIP} bytes"))
                );
            }
            zip.extend_from_slice(bytes);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.tail);
        let seam = joined.len();
        joined.extend_from_slice(&bytes[..bytes.len().min(ZIP_ENTRY.len())]);
        let across = memchr::memmem::find(&joined, ZIP_ENTRY).filter(|at| *at < seam);
        if let Some(at) = across {
            let begin = joined[at..seam].to_vec();
            self.zip = Some(begin);
            return self.watch_for_zip(look, bytes);
        }
        if let Some(at) = memchr::memmem::find(bytes, ZIP_ENTRY) {
            self.zip = Some(Vec::new());
            return self.watch_for_zip(look, &bytes[at..]);
        }
        joined.truncate(seam);
        joined.extend_from_slice(&bytes[bytes.len().saturating_sub(ZIP_ENTRY.len())..]);
        let from = joined.len().saturating_sub(ZIP_ENTRY.len() - 1);
        self.tail = joined.split_off(from);
        Ok(())
    }

    fn open_zip(&self, look: &mut Look<'_>, zip: &[u8]) -> Result<(), Trouble> {
        let entries = archive::entries(zip).map_err(|error| look.unscannable(&self.part, &error))?;
        for entry in entries {
            let name = format!("zip entry {}", base::inert(&entry.name, NAME));
            let part = Part::Inside(look.scrubbed(&name).into());
            match entry.method {
                Method::Closed => return Err(look.closed(&part, "an encrypted or unknown method of zip")),
                Method::Zstd => self.enter(look, part, entry.data)?,
                // What is stored was looked at as it stands; it may still be packed in itself.
                Method::Stored => {
                    let length = entry.length.unwrap_or(entry.data.len()).min(entry.data.len());
                    let data = &entry.data[..length];
                    if archive::packing(&data[..data.len().min(HEAD)]) != Packing::None {
                        self.enter(look, part, data)?;
                    }
                }
                Method::Deflated => {
                    let mut inner = Self::new(look, part.clone(), self.deeper(look)?);
                    archive::inflate(entry.data, |bytes| {
                        look.spend(&part, bytes.len())?;
                        inner.push(look, bytes)
                    })?;
                    inner.end(look, Vec::new())?;
                }
            }
        }
        Ok(())
    }

    fn enter(&self, look: &mut Look<'_>, part: Part, data: &[u8]) -> Result<(), Trouble> {
        look.spend(&part, data.len())?;
        let mut inner = Self::new(look, part, self.deeper(look)?);
        // Whatever else stands in the data was looked at with the file.
        inner.push(look, data)?;
        inner.end(look, Vec::new())
    }
}
