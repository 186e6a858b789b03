//! `audit verify`: whether the trail is whole.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use base::inert;
use serde::Serialize;
use supervisor::audit::{Keys, Place, Report, Stored, Verifier, Why};

use super::progress::Progress;
use crate::args::audit::Verify;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format, Paint, paint};

/// Verifies the trail on the bus, or an export. Remembers the last checkpoint of a trail that is whole.
///
/// # Errors
/// The bus does not answer; the file cannot be read; no key is known.
pub(super) async fn run(context: &Context, args: &Verify) -> Result<Exit, Failure> {
    let place = Place::of(&context.home);
    let keys = keys(&place, args.key.as_deref())?;
    // Before the trail is read, which only grows.
    let anchors = place.anchors().context("cannot read which checkpoints were seen").or_exit(Exit::Input)?;
    let mut verifier = Verifier::new(&keys, anchors);
    match &args.file {
        Some(file) => of_file(&mut verifier, file)?,
        None => of_bus(context, &mut verifier).await?,
    }
    let mut report = verifier.finish();
    let is_shorter = |report: &Report| {
        report.fault.as_ref().is_some_and(|fault| matches!(fault.why, Why::Truncated { .. }))
    };
    if args.older && is_shorter(&report) {
        report.fault = None;
    }
    if let (None, Some(checkpoint)) = (&report.fault, report.checkpoint) {
        place.remember(checkpoint).context("cannot remember the last checkpoint")?;
    }
    print(&report, args)?;
    if report.fault.is_some() && args.file.is_some() && is_shorter(&report) {
        output::note("if this export was made before that checkpoint, say so with --older");
    }
    Ok(if report.fault.is_none() { Exit::Ok } else { Exit::No })
}

fn keys(place: &Place, file: Option<&Path>) -> Result<Keys, Failure> {
    let Some(file) = file else {
        let missing = || {
            anyhow!(
                "{} is missing, and so it is not known who may have signed the trail: the supervisor makes it in its own \
                 home; copy it from there, or name it with --key",
                place.public_key().display()
            )
        };
        let known = place.known_keys().or_exit(Exit::Input)?;
        return known.ok_or_else(missing).or_exit(Exit::NotFound);
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    let text = text.or_exit(Exit::NotFound)?;
    Keys::parse(&text).with_context(|| format!("in {}", file.display())).or_exit(Exit::Input)
}

async fn of_bus(context: &Context, verifier: &mut Verifier<'_>) -> Result<(), Failure> {
    let bus = context.operator().await?;
    let mut trail = super::trail(&bus).await.or_bus()?;
    let mut progress = Progress::new();
    while let Some(record) = trail.stored().await.or_bus()? {
        if let Ok(Stored(bytes)) = &record.message {
            verifier.push(bytes);
        }
        if verifier.is_settled() {
            return Ok(());
        }
        progress.step();
    }
    Ok(())
}

/// No record is longer; a line that is cut here is no record.
const LONGEST_LINE: u64 = 2 << 20;

fn of_file(verifier: &mut Verifier<'_>, path: &Path) -> Result<(), Failure> {
    let opened = File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let mut file = BufReader::with_capacity(1 << 20, opened.or_exit(Exit::NotFound)?);
    let mut progress = Progress::new();
    let mut line = Vec::new();
    while !verifier.is_settled() {
        line.clear();
        let read = match file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.with_context(|| format!("cannot read {}", path.display())).or_exit(Exit::Input)?,
        };
        if read == 0 {
            break;
        }
        verifier.push(line.strip_suffix(b"\n").unwrap_or(&line));
        progress.step();
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    whole: bool,
    #[serde(flatten)]
    report: &'a Report,
    message: String,
}

fn print(report: &Report, args: &Verify) -> anyhow::Result<()> {
    let message = text(report);
    let whole = report.fault.is_none();
    if Format::from(args.format) == Format::Json {
        return output::json(&Printed { whole, report, message }).context("cannot print the report");
    }
    output::line(&paint(if whole { Paint::Green } else { Paint::Red }, &message));
    Ok(())
}

fn text(report: &Report) -> String {
    let Report { records, unsealed, checkpoint, fault } = report;
    match (fault, checkpoint) {
        (Some(fault), _) => inert(&format!("{fault}; the {records} records before it are whole"), 600),
        (None, None) => "there are no records".to_owned(),
        (None, Some(checkpoint)) => {
            let rest = match unsealed {
                0 => String::new(),
                1 => "; the last record is chained, and not signed yet".to_owned(),
                some => format!("; the last {some} records are chained, and not signed yet"),
            };
            format!("{records} records are whole; record {} vouches for them{rest}", checkpoint.sequence)
        }
    }
}
