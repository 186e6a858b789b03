//! `resume`: go on with the session of a bottle that is over (L3).

use base::id::RequestId;
use base::inert;
use bus::message::record::BottleRecord;
use bus::message::start::{Resume as Wanted, StartRequest};
use manifest::Resolved;

use super::workspace::{self, Copied};
use super::{commit, info, list, start};
use crate::args::Resume;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::host::{Options, Services};

/// Runs the agent once more where it left off, and waits for its end.
///
/// # Errors
/// There is no such bottle, or nothing could be started; the failure says at which step.
pub async fn run(context: &Context, args: Resume) -> Result<Exit, Failure> {
    let options = Options { port: None, probe: args.services.probe };
    // The record is on the bus.
    let services = Services::ensure(context, &options).await?;
    let how = start::How { json: args.json, key: args.terminal.detach_key };
    match prepare(context, &args).await {
        Ok(Some(wanted)) => start::perform(context, wanted, how, &options, services).await,
        Ok(None) => services.release(context).await.map(|()| Exit::Ok),
        Err(failure) => {
            services.release(context).await?;
            Err(failure)
        }
    }
}

/// The request, if the person agrees. Whether the session may go on is the launcher's decision.
async fn prepare(
    context: &Context,
    args: &Resume,
) -> Result<Option<(StartRequest, Option<Copied>)>, Failure> {
    let record = list::known(&context.operator().await?, &args.bottle).await?;
    let resolved = info::resolve(context, &record.agent, &record.bottles)?;
    let session = record.session.as_ref().and_then(|session| session.id.clone());
    let asking = start::Asking { quiet: args.json, agreed: args.yes || args.headless, dry_run: false };
    let copied = Copied::survey(context, &args.workspace).await?;
    let mut rows = vec![goes_on(&record, args, &resolved)];
    rows.extend(environment(&record, args));
    let backend = args.backend.clone().unwrap_or_else(|| record.backend.clone());
    rows.push(("backend", inert(&backend, 20)));
    let runtime = args.runtime.map(|runtime| runtime.as_str().to_owned());
    // The former runtime goes with the former backend.
    let runtime = runtime.or_else(|| record.runtime.clone().filter(|_| backend == record.backend));
    rows.extend(runtime.as_ref().map(|runtime| ("runtime", inert(runtime, 20))));
    rows.extend(workspace::rows(copied.as_ref(), &args.workspace));
    if !asking.ask(context, &resolved, &rows)? {
        return Ok(None);
    }
    let request = StartRequest {
        v: Default::default(),
        id: args.id.clone().unwrap_or_else(RequestId::random),
        agent: record.agent,
        bottles: record.bottles,
        task: args.prompt.clone(),
        workspace: workspace::checkout(&args.workspace),
        resume: Some(Wanted {
            bottle: record.bottle,
            session: session.filter(|_| !args.fresh),
            fresh: args.fresh,
        }),
        label: args.label.clone().or(Some(record.label)),
        color: record.color,
        backend: Some(backend),
        runtime,
        terminal: args.terminal.here(args.headless || args.json),
    };
    Ok(Some((request, copied)))
}

fn goes_on(record: &BottleRecord, args: &Resume, resolved: &Resolved) -> (&'static str, String) {
    let bottle = &record.bottle;
    let session = match &record.session {
        _ if args.fresh => {
            format!("a fresh one, with the agent {} and the bottles of {bottle}", resolved.agent)
        }
        Some(session) => {
            let id = session.id.as_deref().map_or_else(|| "one without an id".to_owned(), |id| inert(id, 80));
            format!("{id}, turn {}, from {bottle}", session.turns.saturating_add(1))
        }
        None => format!("none that {bottle} told of"),
    };
    ("session", session)
}

/// The environment that was committed, if one was.
fn environment(record: &BottleRecord, args: &Resume) -> Option<(&'static str, String)> {
    let commit = record.commit.as_ref()?;
    let text = match args.fresh {
        true => format!("without what was committed of {}", commit.bottle),
        false => commit::describe(commit),
    };
    Some(("environment", text))
}

/// What a person can do with the session of a bottle that is over.
#[must_use]
pub fn advice(bottle: &base::id::Slug, is_stored: bool) -> String {
    if is_stored { format!("; go on with `bot-bottle resume {bottle}`") } else { String::new() }
}
