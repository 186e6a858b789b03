//! One start, from its message to its end.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::id::Slug;
use base::inert;
use bus::message::event::Event;
use bus::message::progress::Progress;
use bus::message::run::{Output, OutputStream, Started};
use bus::message::start::{StartRequest, StopRequest};
use bus::message::terminal::Size;
use bus::{Bus, Follow, Link, Since, Subscription, layout};
use tokio::signal::unix::SignalKind;

use super::ending::{End, farewell, launch_failure};
use crate::commands::logs::{self, Printer, Raw};
use crate::commands::{list, workspace};
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output;
use crate::terminal::{self, DetachKey, Happening, Replay, Session};

/// One start, from its message to its end.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    url: Option<String>,
    bus: Bus,
    pub(super) request: StartRequest,
    how: How,
    /// The person at the program, in an interactive run.
    session: Option<Session>,
    /// Whether the services go on without this command.
    stays: bool,
    /// From where the events are read again, should they have to be.
    since: Since,
    printer: Printer,
    bottle: Option<Slug>,
    /// What its launcher does that takes long.
    progress: Option<Subscription<Progress>>,
    /// Whether the answer is taken out of what the program writes.
    answers: bool,
    stops: u32,
}

/// How a run is watched.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct How {
    /// One JSON object at the end.
    pub(in crate::commands) json: bool,
    /// The key that leaves an interactive run going.
    pub(in crate::commands) key: DetachKey,
}

/// How long the launcher of a bottle that runs may take to let somebody in.
const ATTACH: Duration = Duration::from_secs(10);

/// When a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the bus may be away before its services are looked for.
const AWAY: Duration = Duration::from_secs(5);

impl<'a> Run<'a> {
    pub(super) fn new(context: &'a Context, bus: Bus, request: StartRequest, how: How, stays: bool) -> Self {
        let url = context.bus_url().ok().flatten();
        let printer = Printer::new(Raw::where_no_terminal_is());
        let since = Since::Time(context.clock.now());
        let (session, bottle, progress) = (None, None, None);
        Self {
            context,
            url,
            bus,
            request,
            how,
            session,
            stays,
            since,
            printer,
            bottle,
            progress,
            answers: false,
            stops: 0,
        }
    }

    /// Makes the request. Its events are followed before it is published, so that none falls between.
    pub(super) async fn begin(&mut self) -> Result<Follow<Event>, Failure> {
        let events = self.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await.or_bus()?;
        self.hear_progress().await?;
        let stored = self.bus.publish(&self.request).await.or_bus()?;
        if stored.duplicate {
            let error = anyhow!("the request {} was made already; it is not run twice", self.request.id);
            return Err(Failure::new(Exit::No, error));
        }
        Ok(events)
    }

    /// Goes on with other services. What ran was ended with the former ones.
    pub(super) async fn resume(&mut self, stays: bool) -> Result<Follow<Event>, Failure> {
        self.stays = stays;
        self.url = self.context.bus_url()?;
        self.bus = self.context.operator().await?;
        self.bottle = None;
        self.hear_progress().await?;
        self.bus.follow::<Event>(layout::EVENTS, "bottle.>", self.since).await.or_bus()
    }

    async fn hear_progress(&mut self) -> Result<(), Failure> {
        let subject = format!("bottle.progress.{}", self.request.id);
        self.progress = Some(self.bus.subscribe::<Progress>(&subject).await.or_bus()?);
        Ok(())
    }

    pub(super) async fn follow(
        &mut self,
        mut events: Follow<Event>,
        interrupts: &mut Interrupts,
    ) -> Result<Exit, Failure> {
        let mut pieces: Option<Follow<Output>> = None;
        let wonder = tokio::time::sleep(PATIENCE);
        tokio::pin!(wonder);
        let mut wondered = false;
        loop {
            tokio::select! {
                event = events.next() => {
                    let record = event.or_bus()?;
                    if let Ok(event) = record.message
                        && let Some(end) = self.heed(event, &mut pieces).await?
                    {
                        return self.settle(end, pieces).await;
                    }
                    self.since = Since::Sequence(record.sequence);
                }
                heard = hear(&mut self.session, &mut pieces) => match heard? {
                    Heard::Piece(piece) => self.show(*piece)?,
                    Heard::Happening(happening) => {
                        if let Some(exit) = self.happened(happening).await? {
                            return Ok(exit);
                        }
                    }
                },
                kind = interrupts.which() => {
                    if let Some(exit) = self.interrupted(kind).await? {
                        return Ok(exit);
                    }
                }
                line = told(&mut self.progress), if self.bottle.is_none() => {
                    wondered = true;
                    if !self.how.json {
                        output::note(&inert(&line, 300));
                    }
                }
                () = away(&self.bus) => self.look_for_services()?,
                () = &mut wonder, if !wondered && self.bottle.is_none() => {
                    wondered = true;
                    output::note(
                        "it does not run yet: a launcher prepares it, or none is free; `bot-bottle list` and `status` show which",
                    );
                }
            }
        }
    }

    /// Gives up when the services that took the request have ended without a word.
    fn look_for_services(&self) -> Result<(), Failure> {
        if self.context.bus_url()? == self.url {
            return Ok(());
        }
        let request = &self.request.id;
        let error = anyhow!("the services ended; the request {request} is taken up again when they are back");
        Err(Failure::new(Exit::Unavailable, error))
    }

    /// Takes one event. Returns how it ended, if it did.
    async fn heed(
        &mut self,
        event: Event,
        pieces: &mut Option<Follow<Output>>,
    ) -> Result<Option<End>, Failure> {
        match event {
            Event::Started(started) if started.request == self.request.id => {
                if !self.how.json {
                    output::note(&self.greeting(&started));
                }
                *pieces = Some(logs::follow(&self.bus, &started.bottle).await.or_bus()?);
                self.bottle = Some(started.bottle.clone());
                self.answers = started.answers;
                if let Some(terminal) = &self.request.terminal {
                    let size = terminal.size();
                    self.sit_down(&started, size).await?;
                }
                if self.stops > 0 {
                    self.end().await?;
                }
                Ok(None)
            }
            Event::Exited(exited) if exited.request == self.request.id => {
                Ok(Some(End::Exited(Box::new(exited))))
            }
            Event::Failed(failed) if failed.request == self.request.id => {
                Ok(Some(End::Failed(Box::new(failed))))
            }
            _ => Ok(None),
        }
    }

    fn greeting(&self, started: &Started) -> String {
        let total: f64 = started.steps.iter().map(|step| step.ms).sum();
        let isolation = list::isolation(&started.backend, started.runtime.as_deref());
        let runs = format!("{} runs ({isolation}, {total:.0} ms)", started.bottle);
        if self.request.terminal.is_none() {
            return runs;
        }
        let label = output::tint(started.color.as_deref(), &inert(&started.label, 64));
        let leave = if self.stays { format!("; {} leaves it running", self.how.key) } else { String::new() };
        format!("{label}: {runs}{leave}")
    }

    /// Joins this terminal with the program's. One that has ended already has nobody at it; what it wrote is shown.
    async fn sit_down(&mut self, started: &Started, size: Size) -> Result<(), Failure> {
        self.session = None;
        let seat = terminal::attach(&self.bus, &started.bottle, size, ATTACH).await.or_bus()?;
        if let Ok(seat) = seat {
            let title = inert(&started.label, 64);
            self.session = Some(Session::open(seat, &title, self.how.key, Replay::default())?);
        }
        Ok(())
    }

    /// The person leaves, or the terminal is gone. A bottle whose services end with this command cannot be left.
    async fn happened(&mut self, happening: Happening) -> Result<Option<Exit>, Failure> {
        match happening {
            Happening::Detach | Happening::Gone if self.stays => self.leave().await.map(Some),
            Happening::Detach => {
                self.say("its services end with this command; with `bot-bottle up -d` they stay");
                Ok(None)
            }
            Happening::Gone => {
                self.session = None;
                self.interrupt().await.map(|()| None)
            }
        }
    }

    /// A hang-up leaves an interactive run that can be left; everything else ends a run.
    async fn interrupted(&mut self, kind: SignalKind) -> Result<Option<Exit>, Failure> {
        if kind == SignalKind::hangup() && self.session.is_some() && self.stays {
            return self.leave().await.map(Some);
        }
        self.interrupt().await.map(|()| None)
    }

    async fn leave(&mut self) -> Result<Exit, Failure> {
        let lost = match self.session.take() {
            Some(session) => session.close().await,
            None => 0,
        };
        let bottle = self.bottle.as_ref().map_or_else(String::new, ToString::to_string);
        output::note(&terminal::parting(&bottle, lost));
        Ok(Exit::Ok)
    }

    /// To the person, wherever they look.
    fn say(&mut self, text: &str) {
        match &mut self.session {
            Some(session) => session.call(text),
            None => output::note(text),
        }
    }

    fn show(&mut self, piece: Result<Output, bus::Malformed>) -> Result<(), Failure> {
        // Documents are for programs: a person gets the answer in them.
        let is_document =
            self.answers && piece.as_ref().is_ok_and(|piece| piece.stream == OutputStream::Stdout);
        if !self.how.json && !is_document {
            self.printer.print(piece)?;
        }
        Ok(())
    }

    /// The first interrupt asks the program to end, or does so as soon as it runs; the second kills it; the third
    /// leaves it to its launcher.
    async fn interrupt(&mut self) -> Result<(), Failure> {
        self.stops += 1;
        match (self.stops, &self.bottle) {
            (1, None) => {
                self.say("it will be ended as soon as it runs; interrupt again to leave it to the launchers");
            }
            (1, Some(_)) => self.say("ending it; interrupt again to kill it"),
            (2, Some(_)) => self.say("killing it; interrupt again to leave it to its launcher"),
            _ => return Err(self.left()),
        }
        self.end().await
    }

    pub(super) fn left(&self) -> Failure {
        let error = anyhow!("interrupted; the request {} stays with the launchers", self.request.id);
        Failure::new(Exit::TryAgain, error)
    }

    async fn end(&self) -> Result<(), Failure> {
        let Some(bottle) = self.bottle.clone() else { return Ok(()) };
        let grace_ms = (self.stops > 1).then_some(0);
        let stop = StopRequest { v: Default::default(), bottle, grace_ms };
        // A launcher that refuses says so because the bottle has just ended, which is what was wanted.
        self.bus.request(&stop, Duration::from_secs(5)).await.or_bus().map(drop)
    }

    async fn settle(&mut self, end: End, mut pieces: Option<Follow<Output>>) -> Result<Exit, Failure> {
        workspace::discard(&self.bus, &self.request).await;
        if let Some(mut session) = self.session.take() {
            if let Some(mut pieces) = pieces.take() {
                session.drain(&mut pieces).await?;
            }
            session.close().await;
        }
        let exited = match end {
            End::Failed(failed) => {
                if self.how.json {
                    output::json(&*failed).context("cannot print the result")?;
                }
                return Err(launch_failure(&failed));
            }
            End::Exited(exited) => exited,
        };
        if self.how.json {
            output::json(&*exited).context("cannot print the result")?;
        } else {
            if self.answers {
                exited.result.as_deref().inspect(|answer| output::untrusted(answer));
            } else if let Some(mut pieces) = pieces {
                logs::drain(&mut pieces, &mut self.printer).await?;
            }
            self.printer.finish();
            output::note(&farewell(&exited));
        }
        if exited.code == 0 && exited.failure.is_some() {
            return Ok(Exit::No);
        }
        // A code that the program did not choose is 128 + signal, which fits as well.
        Ok(Exit::Program(u8::try_from(exited.code).unwrap_or(u8::MAX)))
    }
}

/// What comes from the program, or from the person at it.
enum Heard {
    Piece(Box<Result<Output, bus::Malformed>>),
    Happening(Happening),
}

/// With a session, what the program writes goes there.
async fn hear(session: &mut Option<Session>, pieces: &mut Option<Follow<Output>>) -> Result<Heard, Failure> {
    match (session, pieces) {
        (Some(session), Some(pieces)) => session.next(pieces).await.map(Heard::Happening),
        (None, Some(pieces)) => Ok(Heard::Piece(Box::new(pieces.next().await.or_bus()?.message))),
        (_, None) => std::future::pending().await,
    }
}

/// The next line of what its launcher does.
async fn told(progress: &mut Option<Subscription<Progress>>) -> String {
    if let Some(progress) = progress {
        while let Ok(delivery) = progress.next().await {
            if let Ok(progress) = delivery.message {
                return progress.line;
            }
        }
    }
    // It is no more than something to look at.
    std::future::pending().await
}

/// Completes when the bus has been away for a while.
async fn away(bus: &Bus) {
    let mut link = bus.link();
    // The sender lives as long as the connection, which this borrows.
    if link.wait_for(|link| *link == Link::Down).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(AWAY).await;
}
