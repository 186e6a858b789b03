//! `commit`: keep what a running bottle has made (L8).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use base::id::{ExchangeId, Slug};
use base::inert;
use bus::message::commit::{CommitReply, CommitRequest};
use bus::message::record::{BottleRecord, CommitRecord};
use bus::{Bus, BusError, layout};

use super::list;
use super::workspace::{patiently, size};
use crate::args::Commit;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};
use crate::picker::{self, Entry};

/// How long a launcher may be silent: it answers within two seconds, and says how far it is.
const SILENCE: Duration = Duration::from_secs(10);
/// How often who does not answer is asked again. Asking twice commits once.
const TRIES: usize = 3;
/// When a person begins to wonder, and how often they are told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Commits a running bottle, and writes the archive to a file if that is asked for; of a bottle that is over only that.
///
/// # Errors
/// The bus does not answer, there is no such bottle, or it cannot be committed.
pub async fn run(context: &Context, args: &Commit) -> Result<Exit, Failure> {
    if let Some(file) = &args.export {
        is_new(file)?;
    }
    let bus = context.operator().await?;
    let record = match &args.bottle {
        Some(bottle) => list::known(&bus, bottle).await?,
        None => match choose(&bus).await? {
            Some(record) => record,
            None => return Ok(Exit::Ok),
        },
    };
    let format = Format::from(args.format);
    let commit = match (record.state.is_live(), &record.commit, &args.export) {
        (true, ..) => order(&bus, &record.bottle).await?,
        (false, Some(commit), Some(_)) => commit.clone(),
        (false, ..) => return Err(over(&record)),
    };
    if let Some(file) = &args.export {
        export(&bus, &commit, file).await?;
    }
    match format {
        Format::Json => output::json(&commit).context("cannot print the commit")?,
        Format::Text => output::line(&report(&record.bottle, &commit, args.export.as_deref())),
    }
    Ok(Exit::Ok)
}

/// A commit in a line.
#[must_use]
pub fn describe(commit: &CommitRecord) -> String {
    let image = commit.image.as_ref().map(|image| format!(", and the image {}", inert(&image.name, 120)));
    format!(
        "as committed of {} at {:.0}: {} files and directories, {}{}",
        commit.bottle,
        commit.at,
        commit.entries,
        size(commit.bytes),
        image.unwrap_or_default()
    )
}

/// The only bottle that runs; of several the one that a person picks, nothing if they leave.
async fn choose(bus: &Bus) -> Result<Option<BottleRecord>, Failure> {
    let mut running = list::records(bus).await.or_bus()?;
    running.retain(|record| record.state.is_live());
    if running.len() < 2 {
        let none = || anyhow!("no bottle runs; `bot-bottle list --all` shows those that are over");
        return running.pop().map(Some).ok_or_else(none).or_exit(Exit::NotFound);
    }
    if !picker::can_ask() {
        let error = anyhow!("{} bottles run: name one, as `bot-bottle commit BOTTLE`", running.len());
        return Err(Failure::new(Exit::Usage, error));
    }
    let entry = |record: &BottleRecord| {
        let name = record.bottle.as_str().parse().ok()?;
        Some(Entry { name, about: inert(&record.label, 64), is_broken: false })
    };
    let picked = picker::pick("commit which bottle? ", running.iter().filter_map(entry).collect()).await?;
    let picked = picked.and_then(|name| running.into_iter().find(|it| it.bottle.as_str() == name.as_str()));
    Ok(picked)
}

/// Has the bottle's launcher commit it, and tells how far it is.
async fn order(bus: &Bus, bottle: &Slug) -> Result<CommitRecord, Failure> {
    let request = CommitRequest {
        v: Default::default(),
        id: ExchangeId::random(),
        bottle: bottle.clone(),
        dockerfile: None,
    };
    let (mut told, mut left) = (Instant::now(), TRIES);
    loop {
        let reply = match bus.request(&request, SILENCE).await {
            Err(BusError::NoResponders { .. }) => {
                let error = anyhow!("no launcher answers for {bottle}; `bot-bottle status` shows which run");
                return Err(Failure::new(Exit::Unavailable, error));
            }
            Err(BusError::Deadline { .. }) if left > 1 => {
                left -= 1;
                continue;
            }
            reply => reply.or_bus()?,
        };
        left = TRIES;
        match reply {
            CommitReply::Committed { commit } => return Ok(commit),
            CommitReply::Refused { reason } => {
                let error = anyhow!("{bottle} was not committed: {}", inert(&reason, 500));
                return Err(Failure::new(Exit::No, error));
            }
            CommitReply::Working { packed } if told.elapsed() >= PATIENCE => {
                told = Instant::now();
                output::note(&format!("committing {bottle}: {} so far", size(packed)));
            }
            CommitReply::Working { .. } => {}
        }
    }
}

fn over(record: &BottleRecord) -> Failure {
    let bottle = &record.bottle;
    let then = match &record.commit {
        Some(_) => {
            format!("its last commit is written to a file with `bot-bottle commit {bottle} --export FILE`")
        }
        None => "only a bottle that runs can be committed".to_owned(),
    };
    Failure::new(Exit::NotFound, anyhow!("{bottle} does not run; {then}"))
}

/// Nobody's file is written over.
fn is_new(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::new(Exit::Input, anyhow!("{} is there already: name a new file", file.display())))
}

/// The file is there when it is whole.
async fn export(bus: &Bus, commit: &CommitRecord, file: &Path) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let part = tempfile::NamedTempFile::new_in(folder).with_context(cannot).or_exit(Exit::Input)?;
    let to = tokio::fs::File::from_std(part.reopen().with_context(cannot)?);
    let objects = bus.objects(layout::COMMITS);
    let telling = || format!("writing {}: {}", file.display(), size(commit.size));
    let found = patiently(objects.get(&commit.archive, to), telling).await.or_bus()?;
    let gone = || anyhow!("the archive {} is not on the bus any more", inert(&commit.archive, 120));
    found.ok_or_else(gone).or_exit(Exit::NotFound)?;
    part.persist_noclobber(file).with_context(cannot).or_exit(Exit::Input).map(drop)
}

fn report(bottle: &Slug, commit: &CommitRecord, file: Option<&Path>) -> String {
    let mut lines = vec![format!("{bottle} {}", describe(commit))];
    if commit.skipped > 0 {
        lines.push(format!("left out: {} sockets, pipes and devices", commit.skipped));
    }
    if commit.torn > 0 {
        lines
            .push(format!("not whole: {} files could not be read, or became shorter meanwhile", commit.torn));
    }
    lines.push(format!(
        "it is kept for 30 days; once {bottle} is over go on with `bot-bottle resume {bottle}`"
    ));
    lines.push(match file {
        Some(file) => format!("the archive is in {}", file.display()),
        None => format!("a copy of the archive: `bot-bottle commit {bottle} --export FILE`"),
    });
    if let Some(image) = &commit.image {
        lines.push(format!("a copy of the image: `docker save {}`", inert(&image.pin, 200)));
    }
    lines.join("\n")
}
