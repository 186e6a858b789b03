//! One coding undone: a state machine from input bytes to output bytes.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Coding, CodingError};

/// Base-2 logarithm of the largest zstd window: 8 MiB, which RFC 9659 tells both sides to keep to.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Base-2 logarithm of the deflate window, the largest there is.
const DEFLATE_WINDOW_LOG: u8 = 15;

/// What one step did.
pub(super) struct Step {
    /// Bytes of input used up.
    pub(super) taken: usize,
    /// Bytes of output written.
    pub(super) made: usize,
}

/// One coding being undone.
pub(super) struct Stage {
    coding: Coding,
    machine: Machine,
    place: Place,
}

/// Where in the coded data a stage is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No byte was seen.
    Start,
    /// Inside a member or frame.
    Inside,
    /// Behind the end of a member or frame.
    End,
}

enum Machine {
    Gzip(Decompress),
    /// Deflate's first byte, until the second tells zlib from bare deflate.
    Sniffing(Option<u8>),
    Deflate(Decompress),
    // Boxed: its state is kilobytes large.
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
}

impl Stage {
    pub(super) fn new(coding: Coding) -> Result<Self, CodingError> {
        let machine = match coding {
            Coding::Gzip => Machine::Gzip(Decompress::new_gzip(DEFLATE_WINDOW_LOG)),
            Coding::Deflate => Machine::Sniffing(None),
            Coding::Brotli => Machine::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Coding::Zstd => {
                let mut context = DCtx::create();
                context
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .map_err(|_| CodingError::Malformed(coding))?;
                Machine::Zstd(context)
            }
        };
        Ok(Self { coding, machine, place: Place::Start })
    }

    /// Whether the input may end here.
    pub(super) fn finish(&self) -> Result<(), CodingError> {
        match self.place {
            Place::End => Ok(()),
            Place::Start | Place::Inside => Err(CodingError::Truncated(self.coding)),
        }
    }

    /// Uses up some of `input` and writes some of `output`. Nothing done means that it needs input; with an
    /// `output` left full there may be more to come without any.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        match self.place {
            Place::Start | Place::End if input.is_empty() => return Ok(Step { taken: 0, made: 0 }),
            Place::End => self.begin_again()?,
            Place::Start | Place::Inside => {}
        }
        self.place = Place::Inside;
        match &mut self.machine {
            Machine::Sniffing(first) => {
                let (head, taken) = match (*first, input) {
                    (None, [one]) => {
                        *first = Some(*one);
                        return Ok(Step { taken: 1, made: 0 });
                    }
                    (None, [one, two, ..]) => ([*one, *two], 2),
                    (Some(one), [two, ..]) => ([one, *two], 1),
                    (_, []) => return Ok(Step { taken: 0, made: 0 }),
                };
                self.machine = Machine::Deflate(Decompress::new(is_zlib(head)));
                // Two bytes of input write a few bytes at most, so that they are always used up in one go.
                let step = self.step(&head, output)?;
                if step.taken < head.len() {
                    return Err(CodingError::Trailing(self.coding));
                }
                Ok(Step { taken, made: step.made })
            }
            Machine::Gzip(inflate) | Machine::Deflate(inflate) => {
                let (step, end) =
                    inflate_step(inflate, input, output).ok_or(CodingError::Malformed(self.coding))?;
                Ok(self.arrive(step, end))
            }
            Machine::Brotli(state) => {
                let (step, end) =
                    brotli_step(state, input, output).ok_or(CodingError::Malformed(self.coding))?;
                Ok(self.arrive(step, end))
            }
            Machine::Zstd(context) => {
                let (step, end) =
                    zstd_step(context, input, output).ok_or(CodingError::Malformed(self.coding))?;
                Ok(self.arrive(step, end))
            }
        }
    }

    /// More input behind the end: another member or frame where the coding has them.
    fn begin_again(&mut self) -> Result<(), CodingError> {
        match &mut self.machine {
            Machine::Gzip(inflate) => *inflate = Decompress::new_gzip(DEFLATE_WINDOW_LOG),
            Machine::Zstd(_) => {}
            Machine::Sniffing(_) | Machine::Deflate(_) | Machine::Brotli(_) => {
                return Err(CodingError::Trailing(self.coding));
            }
        }
        Ok(())
    }

    fn arrive(&mut self, step: Step, end: bool) -> Step {
        if end {
            self.place = Place::End;
        }
        step
    }
}

/// Whether the first two bytes are a zlib header (RFC 1950, section 2.2). As bare deflate they would be a stored
/// block with rubbish in its padding, which no encoder writes.
fn is_zlib([method, flags]: [u8; 2]) -> bool {
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0
}

fn inflate_step(inflate: &mut Decompress, input: &[u8], output: &mut [u8]) -> Option<(Step, bool)> {
    let (taken, made) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).ok()?;
    let taken = usize::try_from(inflate.total_in() - taken).ok()?;
    let made = usize::try_from(inflate.total_out() - made).ok()?;
    Some((Step { taken, made }, status == Status::StreamEnd))
}

fn brotli_step(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    output: &mut [u8],
) -> Option<(Step, bool)> {
    let (mut input_left, mut taken) = (input.len(), 0);
    let (mut output_left, mut made) = (output.len(), 0);
    let result = BrotliDecompressStream(
        &mut input_left,
        &mut taken,
        input,
        &mut output_left,
        &mut made,
        output,
        &mut 0,
        state,
    );
    match result {
        BrotliResult::ResultFailure => None,
        BrotliResult::ResultSuccess => Some((Step { taken, made }, true)),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Some((Step { taken, made }, false)),
    }
}

fn zstd_step(context: &mut DCtx<'static>, input: &[u8], output: &mut [u8]) -> Option<(Step, bool)> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(output);
    // What it returns is a guess at the input still wanted, and zero exactly at the end of a frame.
    let wanted = context.decompress_stream(&mut to, &mut from).ok()?;
    Some((Step { taken: from.pos(), made: to.pos() }, wanted == 0))
}
