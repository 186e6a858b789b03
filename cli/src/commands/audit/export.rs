//! `audit export`: the trail for other tools and other machines.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use bus::Follow;
use bus::message::audit::AuditRecord;
use supervisor::audit::{Stored, ocsf};

use super::progress::Progress;
use crate::args::audit::{Export, Form};
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;

/// Writes every record that is stored by now.
///
/// # Errors
/// The bus does not answer; the file cannot be written; for OCSF, a record cannot be read.
pub(super) async fn run(context: &Context, args: &Export) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let mut trail = super::trail(&bus).await.or_bus()?;
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(io::stdout());
        write(&mut trail, args.format, &mut out).await?;
        return Ok(Exit::Ok);
    };
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed).or_exit(Exit::NotFound)?;
    let mut out = BufWriter::new(file.as_file_mut());
    let records = write(&mut trail, args.format, &mut out).await?;
    drop(out);
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    output::note(&format!("{records} records are in {}", path.display()));
    Ok(Exit::Ok)
}

async fn write(trail: &mut Follow<Stored>, form: Form, out: &mut impl Write) -> Result<u64, Failure> {
    let mut progress = Progress::new();
    while let Some(record) = trail.stored().await.or_bus()? {
        let Ok(Stored(bytes)) = &record.message else { continue };
        let written = match form {
            Form::Jsonl => out.write_all(bytes).and_then(|()| out.write_all(b"\n")),
            Form::Ocsf => {
                let read: AuditRecord = serde_json::from_slice(bytes)
                    .map_err(|error| anyhow!("record {} cannot be read: {error}", record.sequence))
                    .or_exit(Exit::Input)?;
                ocsf(&read).iter().try_for_each(|event| writeln!(out, "{event}"))
            }
        };
        if gone(written)? {
            return Ok(progress.done());
        }
        progress.step();
    }
    gone(out.flush())?;
    Ok(progress.done())
}

/// Whether the reader has gone, which is no failure.
fn gone(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        written => written.map(|()| false).context("cannot write the export"),
    }
}
