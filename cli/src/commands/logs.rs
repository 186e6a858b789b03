//! `logs`: what a bottle's program wrote.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use base::id::Slug;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::event::Event;
use bus::message::run::{Output, OutputStream};
use bus::{Bus, BusError, Follow, Since, layout};

use super::list;
use crate::args::Logs;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the output so far, and with `--follow` all of it until the bottle ends.
///
/// # Errors
/// The bus does not answer, or it never heard of that bottle.
pub async fn run(context: &Context, args: &Logs) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let record = list::known(&bus, &args.bottle).await?;
    let mut printer = Printer::new(Raw { stdout: args.raw, stderr: args.raw });
    let mut pieces = follow(&bus, &args.bottle).await.or_bus()?;
    if args.follow && record.state.is_live() {
        until_end(&bus, &args.bottle, &mut pieces, &mut printer).await?;
    }
    drain(&mut pieces, &mut printer).await?;
    printer.finish();
    Ok(Exit::Ok)
}

/// Everything that a bottle's program wrote, from the beginning.
///
/// # Errors
/// The bus does not answer.
pub async fn follow(bus: &Bus, bottle: &Slug) -> Result<Follow<Output>, BusError> {
    bus.follow::<Output>(layout::OUTPUT, &format!("bottle.output.{bottle}"), Since::All).await
}

/// Prints pieces as they come, until the bottle has exited; what is stored by then is left for [`drain`].
async fn until_end(
    bus: &Bus,
    bottle: &Slug,
    pieces: &mut Follow<Output>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let subject = format!("bottle.exited.{bottle}");
    let mut end = bus.follow::<Event>(layout::EVENTS, &subject, Since::All).await.or_bus()?;
    loop {
        tokio::select! {
            ended = end.next() => {
                ended.or_bus()?;
                return Ok(());
            }
            piece = pieces.next() => printer.print(piece.or_bus()?.message)?,
        }
    }
}

/// Prints every piece that is stored.
///
/// # Errors
/// The bus does not answer.
pub async fn drain(pieces: &mut Follow<Output>, printer: &mut Printer) -> Result<(), Failure> {
    while let Some(piece) = pieces.stored().await.or_bus()? {
        printer.print(piece.message)?;
    }
    Ok(())
}

/// Prints a program's output: inert for people, as it is where somebody asked for bytes.
pub struct Printer {
    raw: Raw,
    // A character or an escape sequence may be split between pieces; whole lines are not.
    partial: [Vec<u8>; 2],
}

/// Which of the streams get the bytes as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// What the program wrote to its standard output.
    pub stdout: bool,
    /// What the program wrote to its standard error.
    pub stderr: bool,
}

impl Raw {
    /// Bytes for a program that reads them; harmless text wherever a person looks.
    #[must_use]
    pub fn where_no_terminal_is() -> Self {
        Self { stdout: !std::io::stdout().is_terminal(), stderr: !std::io::stderr().is_terminal() }
    }
}

/// A line longer than this is shown in parts.
const LINE: usize = 8 * 1024;

impl Printer {
    /// `raw` passes the bytes through.
    #[must_use]
    pub fn new(raw: Raw) -> Self {
        Self { raw, partial: [Vec::new(), Vec::new()] }
    }

    /// Prints one piece, up to its last whole line.
    ///
    /// # Errors
    /// The piece is not what the bus's contract says.
    pub fn print(&mut self, piece: Result<Output, bus::Malformed>) -> anyhow::Result<()> {
        let piece = piece.context("a piece of output cannot be read")?;
        let data = BASE64_STANDARD.decode(&piece.data).context("a piece of output is not base64")?;
        let to_stderr = piece.stream == OutputStream::Stderr;
        let raw = if to_stderr { self.raw.stderr } else { self.raw.stdout };
        if raw {
            output::bytes(&data, to_stderr);
            return Ok(());
        }
        let partial = &mut self.partial[usize::from(to_stderr)];
        partial.extend_from_slice(&data);
        let whole = match partial.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if partial.len() > LINE => partial.len(),
            None => 0,
        };
        let lines: Vec<u8> = partial.drain(..whole).collect();
        output::bytes(output::inert_lines(&String::from_utf8_lossy(&lines)).as_bytes(), to_stderr);
        Ok(())
    }

    /// Prints a last line that has no end.
    pub fn finish(&mut self) {
        for (to_stderr, partial) in [(false, 0), (true, 1)] {
            let rest = std::mem::take(&mut self.partial[partial]);
            output::bytes(output::inert_lines(&String::from_utf8_lossy(&rest)).as_bytes(), to_stderr);
        }
    }
}
