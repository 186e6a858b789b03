//! A body's codings undone one behind the other.

use super::stage::Stage;
use super::{Bounds, Coding, CodingError, Codings};

/// The most output of one step, in bytes.
const PIECE: usize = 32 * 1024;

/// Room between two codings, in bytes.
const BETWEEN: usize = 16 * 1024;

/// What is left to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Call again: there may be more output.
    More,
    /// All input was used up and all its output given.
    Hungry,
}

/// Undoes the codings of one body as its bytes arrive.
///
/// Memory does not grow with the body: the windows of its codings (32 KiB gzip and deflate, 8 MiB zstd, 16 MiB br)
/// and a few tens of kilobytes. Output comes in pieces, so that a caller can stop between any two.
///
/// ```
/// # use scan::coding::{Bounds, CodingError, Codings, Decoder, Progress};
/// # fn judge(_: &[u8]) {}
/// # fn main() -> Result<(), CodingError> {
/// let codings = Codings::parse([b"identity".as_slice()])?;
/// let mut decoder = Decoder::new(&codings, Bounds::default())?;
/// let mut piece = Vec::new();
/// for chunk in [b"two ".as_slice(), b"chunks"] {
///     let mut left = chunk;
///     while decoder.step(&mut left, &mut piece)? == Progress::More {
///         judge(&piece);
///         piece.clear();
///     }
/// }
/// decoder.finish()
/// # }
/// ```
pub struct Decoder {
    /// In the order they are undone: the coding applied last comes first.
    links: Vec<Link>,
    bounds: Bounds,
    /// Bytes of the body used up.
    taken: u64,
}

/// One coding and what waits for it.
struct Link {
    coding: Coding,
    stage: Stage,
    /// Output of the link before, from `start` on still unused. Empty for the first link, which reads the body.
    waiting: Vec<u8>,
    start: usize,
    /// Whether the last step filled its output, so that there may be more without input.
    full: bool,
    made: u64,
}

impl Decoder {
    /// A decoder at the start of a body.
    ///
    /// # Errors
    ///
    /// [`CodingError::Malformed`] where a coding's machine cannot be set up.
    pub fn new(codings: &Codings, bounds: Bounds) -> Result<Self, CodingError> {
        let link = |&coding: &Coding| {
            let stage = Stage::new(coding)?;
            Ok(Link { coding, stage, waiting: Vec::new(), start: 0, full: false, made: 0 })
        };
        let links = codings.as_slice().iter().rev().map(link).collect::<Result<_, _>>()?;
        Ok(Self { links, bounds, taken: 0 })
    }

    /// Uses up some of `input`, of which it cuts off what it used, and appends up to 32 KiB to `out`.
    ///
    /// # Errors
    ///
    /// Any but the first two of [`CodingError`]. What was appended before is good; after an error nothing more is to
    /// be had, and calling again is an error too or gives nothing.
    pub fn step(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Progress, CodingError> {
        if self.links.is_empty() {
            return self.copy(input, out);
        }
        let (offered, before) = (input.len(), out.len());
        let limits = Limits::new(self.bounds, self.taken.saturating_add(offered as u64));
        out.resize(before + PIECE, 0);
        let pulled = pull(&mut self.links, &limits, input, &mut out[before..]);
        out.truncate(before + pulled.as_ref().unwrap_or(&0));
        self.taken += (offered - input.len()) as u64;
        Ok(if pulled? == 0 { Progress::Hungry } else { Progress::More })
    }

    /// Says that the body is over. A body with no bytes at all is an empty one, whatever its codings: answers to HEAD
    /// and 304 answers look like that.
    ///
    /// # Errors
    ///
    /// [`CodingError::Truncated`] where its coded data is not.
    pub fn finish(&mut self) -> Result<(), CodingError> {
        if self.taken == 0 {
            return Ok(());
        }
        self.links.iter().try_for_each(|link| link.stage.finish())
    }

    fn copy(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Progress, CodingError> {
        let (piece, left) = input.split_at(input.len().min(PIECE));
        out.extend_from_slice(piece);
        *input = left;
        self.taken += piece.len() as u64;
        if self.taken > self.bounds.bytes {
            return Err(CodingError::TooLarge(self.bounds.bytes));
        }
        Ok(if piece.is_empty() { Progress::Hungry } else { Progress::More })
    }
}

/// What each link may have made so far. Every one is held to it, not only the last: an inner coding can eat what an
/// outer one blew up.
struct Limits {
    bounds: Bounds,
    dense: u64,
}

impl Limits {
    fn new(bounds: Bounds, input: u64) -> Self {
        Self { bounds, dense: input.saturating_mul(bounds.ratio).saturating_add(Bounds::FREE) }
    }

    fn check(&self, made: u64) -> Result<(), CodingError> {
        if made > self.bounds.bytes {
            Err(CodingError::TooLarge(self.bounds.bytes))
        } else if made > self.dense {
            Err(CodingError::TooDense(self.bounds.ratio))
        } else {
            Ok(())
        }
    }
}

/// Writes output of the last link, asking those before it for input as needed; how much it wrote, zero where all
/// input is used up.
fn pull(
    links: &mut [Link],
    limits: &Limits,
    body: &mut &[u8],
    output: &mut [u8],
) -> Result<usize, CodingError> {
    let Some((link, before)) = links.split_last_mut() else { return Ok(0) };
    loop {
        let input = if before.is_empty() { *body } else { &link.waiting[link.start..] };
        if !input.is_empty() || link.full {
            let given = input.len();
            let step = link.stage.step(input, output)?;
            link.full = step.made == output.len();
            link.made += step.made as u64;
            limits.check(link.made)?;
            if before.is_empty() {
                *body = &body[step.taken..];
            } else {
                link.start += step.taken;
            }
            if step.made > 0 {
                return Ok(step.made);
            }
            if step.taken == 0 && given > 0 {
                // Input, room, and nothing done with either: no coding does that to valid data.
                return Err(CodingError::Malformed(link.coding));
            }
        } else if before.is_empty() {
            return Ok(0);
        } else {
            link.waiting.resize(BETWEEN, 0);
            let made = pull(before, limits, body, &mut link.waiting)?;
            link.waiting.truncate(made);
            link.start = 0;
            if made == 0 {
                return Ok(0);
            }
        }
    }
}
