//! `attach`: join an interactive bottle, or watch a headless one (L4).

use std::time::Duration;

use anyhow::anyhow;
use base::inert;
use bus::message::event::Event;
use bus::message::record::BottleRecord;
use bus::message::run::Output;
use bus::message::terminal::{TerminalOutcome, TerminalReply};
use bus::{Bus, Follow, Since, layout};

use super::list;
use super::logs::{self, Printer, Raw};
use crate::args::terminal::{Attach, is_here};
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output;
use crate::terminal::{self, Happening, Replay, Seat, Session};
use crate::words;

/// How long a launcher may take to let somebody in.
const WITHIN: Duration = Duration::from_secs(5);

/// Joins this terminal with the bottle's until one of them ends; a bottle without one is watched.
///
/// # Errors
/// The bus does not answer, the bottle does not run, or there is no terminal here.
pub async fn run(context: &Context, args: &Attach) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    let record = list::known(&bus, &args.bottle).await?;
    if !record.state.is_live() {
        let error = anyhow!("{} does not run; `bot-bottle logs` shows what it wrote", args.bottle);
        return Err(Failure::new(Exit::NotFound, error));
    }
    let subject = format!("bottle.exited.{}", args.bottle);
    let end = bus.follow::<Event>(layout::EVENTS, &subject, Since::All).await.or_bus()?;
    let mut pieces = logs::follow(&bus, &args.bottle).await.or_bus()?;
    let mut past = Replay::default();
    while let Some(piece) = pieces.stored().await.or_bus()? {
        past.push(&terminal::bytes(piece.message)?);
    }
    let size = terminal::here().size();
    let attached = terminal::attach(&bus, &args.bottle, size, WITHIN).await.or_bus()?;
    let seat = match attached {
        Ok(seat) => seat,
        Err(reply) if reply.outcome == TerminalOutcome::Headless => return watch(&bus, &record, end).await,
        Err(reply) => return Err(refused(&record, &reply)),
    };
    if !is_here() {
        let error = anyhow!(
            "there is no terminal here to attach: `bot-bottle logs --follow {}` only shows",
            args.bottle
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    join(args, &record, seat, (past, pieces, end)).await
}

fn refused(record: &BottleRecord, reply: &TerminalReply) -> Failure {
    let reason = reply.reason.as_deref().unwrap_or("its launcher gave no reason");
    Failure::new(Exit::NotFound, anyhow!("cannot attach to {}: {}", record.bottle, inert(reason, 300)))
}

async fn join(
    args: &Attach,
    record: &BottleRecord,
    seat: Seat,
    (past, mut pieces, mut end): (Replay, Follow<Output>, Follow<Event>),
) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let label = inert(&record.label, 64);
    let key = args.terminal.detach_key;
    output::note(&format!(
        "{}: {}; {key} leaves it running",
        output::tint(record.color.as_deref(), &label),
        args.bottle
    ));
    let mut session = Session::open(seat, &label, key, past)?;
    tokio::select! {
        happening = session.next(&mut pieces) => match happening? {
            Happening::Detach | Happening::Gone => {}
        },
        ended = end.next() => {
            let ended = ended.or_bus()?.message;
            session.drain(&mut pieces).await?;
            session.close().await;
            return Ok(over(ended));
        }
        // Whoever ends this command leaves; the bottle is not theirs alone.
        () = interrupts.next() => {}
    }
    let lost = session.close().await;
    output::note(&terminal::parting(args.bottle.as_str(), lost));
    Ok(Exit::Ok)
}

/// Tells the end; the code is the program's.
fn over(event: Result<Event, bus::Malformed>) -> Exit {
    let Ok(Event::Exited(exited)) = event else { return Exit::Ok };
    output::note(&format!("{} {}, exit code {}", exited.bottle, words::exit(exited.reason), exited.code));
    Exit::Program(u8::try_from(exited.code).unwrap_or(u8::MAX))
}

/// Shows what a bottle without a terminal writes, until it ends.
async fn watch(bus: &Bus, record: &BottleRecord, mut end: Follow<Event>) -> Result<Exit, Failure> {
    output::note(&format!(
        "{} was started without a terminal: this shows what it writes, and nothing that is typed reaches it",
        record.bottle
    ));
    let mut interrupts = Interrupts::listen()?;
    let mut printer = Printer::new(Raw { stdout: false, stderr: false });
    let mut pieces = logs::follow(bus, &record.bottle).await.or_bus()?;
    loop {
        tokio::select! {
            piece = pieces.next() => printer.print(piece.or_bus()?.message)?,
            ended = end.next() => {
                let ended = ended.or_bus()?.message;
                logs::drain(&mut pieces, &mut printer).await?;
                printer.finish();
                return Ok(over(ended));
            }
            () = interrupts.next() => return Ok(Exit::Ok),
        }
    }
}
