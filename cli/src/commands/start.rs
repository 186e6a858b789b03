//! `start`: run an agent, show what it writes, end with its exit code (L1, L2).

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::id::{RequestId, Slug};
use base::inert;
use bus::message::event::Event;
use bus::message::run::{Exited, Failed, FailureKind, Output, StateKept};
use bus::message::start::{StartRequest, StopRequest};
use bus::{Bus, Follow, Since, layout};
use manifest::{Preflight, Resolved};
use serde::Serialize;

use super::info;
use super::logs::{self, Printer};
use crate::args::Start;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::host::{Host, Options};
use crate::output;

/// Runs the agent and waits for its end.
///
/// # Errors
/// Nothing could be started; the failure says at which step.
pub async fn run(context: &Context, args: Start) -> Result<Exit, Failure> {
    let resolved = info::resolve(context, &args.agent, &args.bottles)?;
    info::must_be_own(context, &resolved)?;
    if !agreed(&args, &resolved)? {
        return Ok(Exit::Ok);
    }
    let host = Host::ensure(context, &Options { port: None, probe: args.services.probe }).await?;
    let outcome = match context.operator().await {
        Ok(bus) => Run::new(bus, request(&args), &args).follow().await,
        Err(failure) => Err(failure),
    };
    if let Some(host) = host {
        host.stop().await;
    }
    outcome
}

/// Shows what would run, and asks unless told not to.
fn agreed(args: &Start, resolved: &Resolved) -> Result<bool, Failure> {
    if !args.json {
        output::note(&info::render(&Preflight::from(resolved)));
    }
    if args.dry_run {
        return Ok(false);
    }
    if args.yes || args.headless {
        return Ok(true);
    }
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
        workspace: None,
        resume: None,
        label: args.label.clone(),
        color: args.color.clone(),
        backend: args.backend.clone(),
    }
}

/// One start, from its message to its end.
struct Run {
    bus: Bus,
    request: StartRequest,
    json: bool,
    printer: Printer,
    bottle: Option<Slug>,
    stops: u32,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    request: &'a RequestId,
    #[serde(flatten)]
    exited: &'a Exited,
}

/// When a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(2);

impl Run {
    fn new(bus: Bus, request: StartRequest, args: &Start) -> Self {
        // Bytes for a program that reads them, harmless text for a person.
        let raw = !std::io::stdout().is_terminal();
        Self { bus, request, json: args.json, printer: Printer::new(raw), bottle: None, stops: 0 }
    }

    async fn follow(mut self) -> Result<Exit, Failure> {
        // Followed before anything is published, so that no event falls between.
        let mut events = self.bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await.or_bus()?;
        let stored = self.bus.publish(&self.request).await.or_bus()?;
        if stored.duplicate {
            let error = anyhow!("the request {} was made already; it is not run twice", self.request.id);
            return Err(Failure::new(Exit::No, error));
        }
        let mut pieces: Option<Follow<Output>> = None;
        let mut interrupts = interrupts()?;
        let wonder = tokio::time::sleep(PATIENCE);
        tokio::pin!(wonder);
        let mut wondered = false;
        loop {
            tokio::select! {
                event = events.next() => {
                    let Ok(event) = event.or_bus()?.message else { continue };
                    if let Some(end) = self.heed(event, &mut pieces).await? {
                        return self.settle(end, pieces).await;
                    }
                }
                piece = next_piece(&mut pieces) => self.show(piece.or_bus()?.message)?,
                _ = interrupts.recv() => self.interrupt().await?,
                () = &mut wonder, if !wondered && self.bottle.is_none() => {
                    wondered = true;
                    output::note("waiting for a launcher; `bot-bottle status` shows whether one runs");
                }
            }
        }
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

    /// The first interrupt ends the program, the second leaves it to its launcher.
    async fn interrupt(&mut self) -> Result<(), Failure> {
        self.stops += 1;
        match &self.bottle {
            Some(bottle) if self.stops == 1 => {
                output::note("ending it; interrupt again to leave it running");
                let stop = StopRequest { v: Default::default(), bottle: bottle.clone(), grace_ms: None };
                self.bus.request(&stop, Duration::from_secs(5)).await.or_bus()?;
                Ok(())
            }
            _ => {
                let error = anyhow!("interrupted; the request {} stays with the launchers", self.request.id);
                Err(Failure::new(Exit::TryAgain, error))
            }
        }
    }

    async fn settle(mut self, end: End, pieces: Option<Follow<Output>>) -> Result<Exit, Failure> {
        let exited = match end {
            End::Failed(failed) => return Err(launch_failure(&failed)),
            End::Exited(exited) => exited,
        };
        if self.json {
            output::json(&Report { request: &self.request.id, exited: &exited })
                .context("cannot print the result")?;
        } else {
            if let Some(mut pieces) = pieces {
                logs::drain(&mut pieces, &mut self.printer).await?;
            }
            self.printer.finish();
            output::note(&farewell(&exited));
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

fn interrupts() -> anyhow::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .context("cannot listen for interrupts")
}

fn farewell(exited: &Exited) -> String {
    let state = match exited.state {
        StateKept::Removed => "its state was removed",
        StateKept::Kept => "its state was kept; `bot-bottle cleanup --all` removes it",
    };
    format!("{} ended ({:?}, exit code {}); {state}", exited.bottle, exited.reason, exited.code)
}

fn launch_failure(failed: &Failed) -> Failure {
    let exit = match failed.kind {
        FailureKind::Manifest | FailureKind::Malformed => Exit::Input,
        FailureKind::Prerequisite => Exit::Prerequisite,
        FailureKind::Internal => Exit::Internal,
        _ => Exit::Launch,
    };
    let step = failed.step.as_ref().map(|step| format!(" at step `{}`", inert(step, 40))).unwrap_or_default();
    Failure::new(exit, anyhow!("the launch failed{step}: {}", output::inert_lines(&failed.reason)))
}
