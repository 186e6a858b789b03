//! `start`: run an agent, show what it writes, end with its exit code (L1, L2).

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::id::{RequestId, Slug};
use base::inert;
use bus::message::event::Event;
use bus::message::run::{Exited, Failed, FailureKind, Output, StateKept};
use bus::message::start::{StartRequest, StopRequest};
use bus::{Bus, Follow, Link, Since, layout};
use manifest::Resolved;

use super::logs::{self, Printer, Raw};
use super::workspace::{self, Copied};
use super::{info, resume};
use crate::args::Start;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::host::{Options, Services};
use crate::interrupt::Interrupts;
use crate::output;
use crate::words;

/// Runs the agent and waits for its end.
///
/// # Errors
/// Nothing could be started; the failure says at which step.
pub async fn run(context: &Context, args: Start) -> Result<Exit, Failure> {
    let resolved = info::resolve(context, &args.agent, &args.bottles)?;
    info::must_be_own(context, &resolved)?;
    let copied = Copied::survey(context, &args.workspace).await?;
    let more = workspace::rows(copied.as_ref(), &args.workspace);
    let asking = Asking { quiet: args.json, agreed: args.yes || args.headless, dry_run: args.dry_run };
    if !asking.ask(context, &resolved, &more)? {
        return Ok(Exit::Ok);
    }
    let options = Options { port: None, probe: args.services.probe };
    let services = Services::ensure(context, &options).await?;
    perform(context, (request(&args), copied), args.json, &options, services).await
}

/// Makes a request, with a directory that is copied first if there is one, and waits for the end of its run.
///
/// # Errors
/// Nothing could be started; the failure says at which step.
pub(super) async fn perform(
    context: &Context,
    (mut request, copied): (StartRequest, Option<Copied>),
    json: bool,
    options: &Options,
    mut services: Services,
) -> Result<Exit, Failure> {
    let running = async {
        let bus = context.operator().await?;
        if let Some(copied) = copied {
            request.workspace = Some(copied.upload(&bus).await?);
        }
        follow(Run::new(context, bus, request, json), options, &mut services).await
    };
    let outcome = running.await;
    services.release(context).await?;
    outcome
}

/// Follows a run to its end, with other services when those of another `start` are gone.
async fn follow(mut run: Run<'_>, options: &Options, services: &mut Services) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut events = run.begin().await?;
    loop {
        tokio::select! {
            exit = run.follow(events, &mut interrupts) => return exit,
            gone = services.gone() => gone?,
        }
        output::note(&format!(
            "the services of another `start` ended; the request {} is taken up again within half a minute",
            run.request.id
        ));
        *services = tokio::select! {
            services = Services::ensure(run.context, options) => services?,
            () = interrupts.next() => return Err(run.left()),
        };
        events = run.resume().await?;
    }
}

/// Whether and how a person is asked before anything starts.
pub(super) struct Asking {
    /// Nothing is shown.
    pub(super) quiet: bool,
    /// It was agreed to beforehand.
    pub(super) agreed: bool,
    /// Nothing is to start.
    pub(super) dry_run: bool,
}

impl Asking {
    /// Shows what would run, with these rows as well, and asks unless told not to.
    ///
    /// # Errors
    /// A skill is missing or broken; or there is nobody to ask.
    pub(super) fn ask(
        &self,
        context: &Context,
        resolved: &Resolved,
        more: &[(&'static str, String)],
    ) -> Result<bool, Failure> {
        info::check_skills(context, resolved)?;
        if !self.quiet {
            output::note(&info::render(&info::preflight(resolved)));
            more.iter().for_each(|(name, value)| output::note(&format!("{name:<12} {value}")));
        }
        match (self.dry_run, self.agreed) {
            (true, _) => Ok(false),
            (false, true) => Ok(true),
            (false, false) => agreed(),
        }
    }
}

fn agreed() -> Result<bool, Failure> {
    if !output::is_interactive() {
        let error =
            anyhow!("there is no terminal to ask on: add --yes or --headless to start without asking");
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "start it? [y/N] ").and_then(|()| terminal.flush()).context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn request(args: &Start) -> StartRequest {
    StartRequest {
        v: Default::default(),
        id: args.id.clone().unwrap_or_else(RequestId::random),
        agent: args.agent.clone(),
        bottles: args.bottles.clone(),
        task: args.prompt.clone(),
        workspace: workspace::checkout(&args.workspace),
        resume: None,
        label: args.label.clone(),
        color: args.color.clone(),
        backend: args.backend.clone(),
        terminal: None,
    }
}

/// One start, from its message to its end.
struct Run<'a> {
    context: &'a Context,
    url: Option<String>,
    bus: Bus,
    request: StartRequest,
    json: bool,
    /// From where the events are read again, should they have to be.
    since: Since,
    printer: Printer,
    bottle: Option<Slug>,
    stops: u32,
}

/// When a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the bus may be away before its services are looked for.
const AWAY: Duration = Duration::from_secs(5);

impl<'a> Run<'a> {
    fn new(context: &'a Context, bus: Bus, request: StartRequest, json: bool) -> Self {
        let url = context.bus_url().ok().flatten();
        let printer = Printer::new(Raw::where_no_terminal_is());
        let since = Since::Time(context.clock.now());
        Self { context, url, bus, request, json, since, printer, bottle: None, stops: 0 }
    }

    /// Makes the request. Its events are followed before it is published, so that none falls between.
    async fn begin(&self) -> Result<Follow<Event>, Failure> {
        let events = self.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await.or_bus()?;
        let stored = self.bus.publish(&self.request).await.or_bus()?;
        if stored.duplicate {
            let error = anyhow!("the request {} was made already; it is not run twice", self.request.id);
            return Err(Failure::new(Exit::No, error));
        }
        Ok(events)
    }

    /// Goes on with other services. What ran was ended with the former ones.
    async fn resume(&mut self) -> Result<Follow<Event>, Failure> {
        self.url = self.context.bus_url()?;
        self.bus = self.context.operator().await?;
        self.bottle = None;
        self.bus.follow::<Event>(layout::EVENTS, "bottle.>", self.since).await.or_bus()
    }

    async fn follow(
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
                piece = next_piece(&mut pieces) => self.show(piece.or_bus()?.message)?,
                () = interrupts.next() => self.interrupt().await?,
                () = away(&self.bus) => self.look_for_services()?,
                () = &mut wonder, if !wondered && self.bottle.is_none() => {
                    wondered = true;
                    output::note("waiting for a launcher; `bot-bottle status` shows whether one runs");
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
                if !self.json {
                    let total: f64 = started.steps.iter().map(|step| step.ms).sum();
                    output::note(&format!("{} runs ({}, {total:.0} ms)", started.bottle, started.backend));
                }
                *pieces = Some(logs::follow(&self.bus, &started.bottle).await.or_bus()?);
                self.bottle = Some(started.bottle);
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

    fn show(&mut self, piece: Result<Output, bus::Malformed>) -> Result<(), Failure> {
        if !self.json {
            self.printer.print(piece)?;
        }
        Ok(())
    }

    /// The first interrupt asks the program to end, or does so as soon as it runs; the second kills it; the third
    /// leaves it to its launcher.
    async fn interrupt(&mut self) -> Result<(), Failure> {
        self.stops += 1;
        match (self.stops, &self.bottle) {
            (1, None) => output::note(
                "it will be ended as soon as it runs; interrupt again to leave it to the launchers",
            ),
            (1, Some(_)) => output::note("ending it; interrupt again to kill it"),
            (2, Some(_)) => output::note("killing it; interrupt again to leave it to its launcher"),
            _ => return Err(self.left()),
        }
        self.end().await
    }

    fn left(&self) -> Failure {
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

    async fn settle(&mut self, end: End, pieces: Option<Follow<Output>>) -> Result<Exit, Failure> {
        workspace::discard(&self.bus, &self.request).await;
        let exited = match end {
            End::Failed(failed) => {
                if self.json {
                    output::json(&*failed).context("cannot print the result")?;
                }
                return Err(launch_failure(&failed));
            }
            End::Exited(exited) => exited,
        };
        if self.json {
            output::json(&*exited).context("cannot print the result")?;
        } else {
            if let Some(mut pieces) = pieces {
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

enum End {
    Exited(Box<Exited>),
    Failed(Box<Failed>),
}

async fn next_piece(pieces: &mut Option<Follow<Output>>) -> Result<bus::Record<Output>, bus::BusError> {
    match pieces {
        Some(pieces) => pieces.next().await,
        None => std::future::pending().await,
    }
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

fn farewell(exited: &Exited) -> String {
    let state = match exited.state {
        StateKept::Removed => "its state was removed",
        StateKept::Kept => {
            "its state was kept; `bot-bottle cleanup --all` removes it when the services are down"
        }
    };
    let next = resume::advice(&exited.bottle, exited.transcript.is_some());
    let note = exited.note.as_deref().map(|note| format!("; {}", inert(note, 500))).unwrap_or_default();
    let how = words::exit(exited.reason);
    let over = format!("{} {how}, exit code {}; {state}{note}{next}", exited.bottle, exited.code);
    let Some(failed) = &exited.failure else { return over };
    let said = output::inert_lines(failed.words.trim());
    let colon = if said.is_empty() { "" } else { ":\n" };
    format!("{over}\n{}{colon}{said}", words::failed_run(failed.kind))
}

fn launch_failure(failed: &Failed) -> Failure {
    let exit = match failed.kind {
        FailureKind::Manifest | FailureKind::Malformed | FailureKind::Session => Exit::Input,
        FailureKind::Prerequisite => Exit::Prerequisite,
        FailureKind::Internal => Exit::Internal,
        _ => Exit::Launch,
    };
    let step = failed.step.as_ref().map(|step| format!(" at step `{}`", inert(step, 40))).unwrap_or_default();
    Failure::new(exit, anyhow!("the launch failed{step}: {}", output::inert_lines(&failed.reason)))
}
