//! `events`: tail the bus.

use anyhow::Context as _;
use base::inert;
use bus::message::event::Event;
use bus::{Record, Since, layout};
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::list;
use crate::args::Events;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format, Paint, paint};
use crate::words;

/// Prints events, one a line, until interrupted.
///
/// # Errors
/// The bus does not answer.
pub async fn run(context: &Context, args: &Events) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    if let Some(bottle) = &args.bottle {
        list::known(&bus, bottle).await?;
    }
    let since = match args.since {
        Some(minutes) => ago(context, minutes)?,
        None if args.no_follow => Since::All,
        None => Since::Now,
    };
    let mut follow = bus.follow::<Event>(layout::EVENTS, ">", since).await.or_bus()?;
    loop {
        let record = if args.no_follow {
            match follow.stored().await.or_bus()? {
                Some(record) => record,
                None => return Ok(Exit::Ok),
            }
        } else {
            follow.next().await.or_bus()?
        };
        let about = record.message.as_ref().ok().and_then(Event::bottle);
        if args.bottle.is_none() || args.bottle.as_ref() == about {
            show(&record, args.format.into())?;
        }
    }
}

/// So many minutes before now.
///
/// # Errors
/// There was no time yet.
pub fn ago(context: &Context, minutes: u32) -> Result<Since, Failure> {
    let ago = Span::new().minutes(i64::from(minutes));
    Ok(Since::Time(context.clock.now().checked_sub(ago).context("that is too long ago")?))
}

/// What `--json` prints for an event; `message` is null when it cannot be read.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    subject: &'a str,
    sequence: u64,
    trace: String,
    message: Option<&'a Event>,
}

fn show(record: &Record<Event>, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let line = Line {
            at: record.at,
            subject: &record.subject,
            sequence: record.sequence,
            trace: record.trace.id(),
            message: record.message.as_ref().ok(),
        };
        output::json(&line).context("cannot print an event")?;
    } else {
        output::line(&text(record));
    }
    Ok(())
}

fn text(record: &Record<Event>) -> String {
    let at = record.at.strftime("%H:%M:%S");
    let what = match &record.message {
        Ok(event) => describe(event),
        Err(malformed) => paint(Paint::Red, &inert(&malformed.to_string(), 300)),
    };
    format!("{at}  {}  {what}", inert(&record.subject, 120))
}

fn describe(event: &Event) -> String {
    match event {
        Event::Committed(committed) => {
            let commit = &committed.commit;
            format!("{}, {} files and directories", inert(&commit.archive, 120), commit.entries)
        }
        Event::Started(started) => {
            let total: f64 = started.steps.iter().map(|step| step.ms).sum();
            format!(
                "{} by launcher {}, attempt {}, {total:.0} ms",
                list::isolation(&started.backend, started.runtime.as_deref()),
                started.launcher,
                started.attempt
            )
        }
        Event::Exited(exited) => {
            format!("{}, exit code {}, {} ms", words::exit(exited.reason), exited.code, exited.duration_ms)
        }
        Event::Failed(failed) => {
            paint(Paint::Red, &format!("{}: {}", words::failure(failed.kind), inert(&failed.reason, 500)))
        }
        Event::Allowed(log) => format!("{} requests allowed", log.lines.len()),
        Event::Blocked(blocked) => {
            let url = format!("{}://{}{}", blocked.scheme, blocked.host, blocked.path);
            let line = format!("{} {} {} {}", blocked.status, blocked.rule, blocked.method, url);
            paint(Paint::Yellow, &inert(&line, 300))
        }
        Event::PushAccepted(push) => format!("{}: {} refs", inert(&push.repo, 80), push.refs.len()),
        Event::PushRejected(push) => {
            paint(Paint::Yellow, &format!("{}: {}", inert(&push.repo, 80), inert(&push.reason, 300)))
        }
        Event::PolicyRunning(said) => format!("runs policy revision {}", said.running),
    }
}
