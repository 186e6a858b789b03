//! `dispatch test`: the same decisions as the dispatcher's, with nobody asked.

use anyhow::{Context as _, anyhow};
use bus::message::pr::{PrAction, PrEvent, PrQueued};
use dispatcher::decide::{self, Decision, Gate};
use dispatcher::event::{self, Envelope, Reading};
use dispatcher::prompt::{self, Told};
use manifest::dispatch::Webhook;
use manifest::{DispatchFile, Home};
use serde::Serialize;
use serde_json::Value;

use crate::args::dispatch::Test;
use crate::context::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};

/// What a delivery would do.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// What it is.
    event: String,
    /// What would become of it.
    would: String,
    /// What the forge would be asked first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asks: Vec<String>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// What would be checked out of which repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkout: Option<String>,
    /// What the agent would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
}

/// Prints what the delivery in a file would do.
///
/// # Errors
/// There is no `dispatch.yaml`, or a file is wrong.
pub(super) fn run(context: &Context, args: &Test) -> Result<Exit, Failure> {
    let file = DispatchFile::load(&Home::at(context.home.clone())).or_exit(Exit::Input)?;
    let missing =
        || anyhow!("there is no dispatch.yaml in {}; docs/dispatch.md has one", context.home.display());
    let file = file.ok_or_else(missing).or_exit(Exit::NotFound)?;
    let (name, webhook) = webhook(&file, args.webhook.as_deref()).or_exit(Exit::NotFound)?;
    let text = std::fs::read_to_string(&args.payload)
        .with_context(|| format!("cannot read {}", args.payload.display()))
        .or_exit(Exit::NotFound)?;
    let (kind, payload) = parts(&text, &args.event).or_exit(Exit::Input)?;
    let at = context.clock.now();
    let envelope = Envelope { webhook: name, delivery: "test", kind: &kind, at };
    let outcome =
        match event::read(envelope, &payload).map_err(|error| anyhow!(error)).or_exit(Exit::Input)? {
            Reading::Other(other) => {
                Outcome { event: kind, would: format!("be ignored: {other:?}"), ..Outcome::default() }
            }
            Reading::Event { event, .. } => outcome(&file, webhook, &event),
        };
    match Format::from(args.format) {
        Format::Json => output::json(&outcome).context("cannot print the outcome")?,
        Format::Text => output::line(&render(&outcome)),
    }
    Ok(if outcome.prompt.is_some() { Exit::Ok } else { Exit::No })
}

fn webhook<'f>(file: &'f DispatchFile, named: Option<&str>) -> anyhow::Result<(&'f str, &'f Webhook)> {
    let mut all = file.webhooks.iter().filter(|(name, _)| named.is_none_or(|named| *name == named));
    match (all.next(), all.next()) {
        (Some((name, webhook)), None) => Ok((name, webhook)),
        (None, _) => Err(anyhow!("dispatch.yaml has no such webhook")),
        (Some(_), Some(_)) => Err(anyhow!("dispatch.yaml has several webhooks; name one with --webhook")),
    }
}

/// The kind of event, and the payload: of a file that is one, or that has headers too.
fn parts(text: &str, kind: &str) -> anyhow::Result<(String, String)> {
    let json: Value = serde_json::from_str(text).context("the file is not JSON")?;
    let (Some(headers), Some(body)) = (json.get("headers").and_then(Value::as_object), json.get("body"))
    else {
        return Ok((kind.to_owned(), text.to_owned()));
    };
    let named = ["x-gitea-event", "x-forgejo-event", "x-github-event"];
    let found = headers.iter().find(|(name, _)| named.contains(&name.to_ascii_lowercase().as_str()));
    let kind = found.and_then(|(_, value)| value.as_str()).unwrap_or(kind);
    Ok((kind.to_owned(), body.to_string()))
}

fn outcome(file: &DispatchFile, webhook: &Webhook, event: &PrEvent) -> Outcome {
    let mut outcome = Outcome {
        event: format!(
            "{} by {} in {}#{}",
            event::name(&event.what),
            base::inert(&event.actor.login, 100),
            event.repo,
            event.number
        ),
        ..Outcome::default()
    };
    if event.what == PrAction::Closed {
        "end what runs for the pull request, and its conversation".clone_into(&mut outcome.would);
        return outcome;
    }
    match decide::gate(webhook, event) {
        Gate::Open => {}
        Gate::Shut(verdict) => {
            outcome.would = format!("be ignored: {verdict:?}");
            return outcome;
        }
        Gate::Ask => outcome.asks = asks(webhook, event),
    }
    // Nothing is known of the pull request, so that each rule is as for its first event.
    match decide::decide(file, event, None) {
        Decision::Nothing(verdict) => outcome.would = format!("be ignored: {verdict:?}"),
        Decision::Run(plan) => {
            "start a run, or go on with the session".clone_into(&mut outcome.would);
            outcome.agent = Some(plan.agent.to_string());
            outcome.checkout = plan.clone.as_ref().map(|clone| {
                let reference = plan.reference.as_deref().unwrap_or("its default branch");
                base::inert(&format!("{reference} of {clone}"), 300)
            });
            let events = [PrQueued { event: event.clone(), plan, trace: None }];
            let border = prompt::border();
            let told = Told { events: &events, pull: event.pull.as_ref(), carried: None, border: &border };
            outcome.prompt = Some(prompt::render(told));
        }
    }
    outcome
}

fn asks(webhook: &Webhook, event: &PrEvent) -> Vec<String> {
    let login = base::inert(&event.actor.login, 100);
    let teams = webhook.allow.teams.iter().map(|team| format!("whether {login} is in {team}"));
    let permission = webhook.allow.permission.iter();
    let permission =
        permission.map(|least| format!("whether {login} has at least {least:?} on {}", event.repo));
    teams.chain(permission).map(|text| text.to_lowercase()).collect()
}

fn render(outcome: &Outcome) -> String {
    let mut lines = vec![format!("event     {}", outcome.event), format!("would     {}", outcome.would)];
    lines.extend(outcome.asks.iter().map(|ask| format!("if        the forge says yes to: {ask}")));
    lines.extend(outcome.agent.iter().map(|agent| format!("agent     {agent}")));
    lines.extend(outcome.checkout.iter().map(|checkout| format!("checkout  {checkout}")));
    if let Some(prompt) = &outcome.prompt {
        lines.push(format!("\n{}", output::inert_lines(prompt)));
    }
    lines.join("\n")
}
