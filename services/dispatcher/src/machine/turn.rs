//! The next run of a conversation.

use base::id::RequestId;
use bus::message::Version;
use bus::message::pr::{PrQueued, PrSession, PrTurn};
use bus::message::start::{Checkout, Resume, StartRequest, Workspace};
use sha2::{Digest as _, Sha256};

use super::{Action, Context};
use crate::prompt::{self, Told};

/// Takes the events that wait and can be one run, and makes it; none when nothing waits.
pub(super) fn begin(session: &mut PrSession, context: &Context<'_>, note: Option<String>) -> Option<Action> {
    let first = session.queued.first()?;
    let same = |queued: &&PrQueued| {
        queued.plan.agent == first.plan.agent && queued.plan.bottles == first.plan.bottles
    };
    let count = session.queued.iter().take_while(same).count();
    let events: Vec<PrQueued> = session.queued.drain(..count).collect();
    let last = events.last()?;
    let goes_on = session.agent.as_ref() == Some(&last.plan.agent)
        && session.bottles == last.plan.bottles
        && session.turns < context.turns;
    let resume = match (&session.bottle, &session.session) {
        (Some(bottle), Some(id)) if goes_on => {
            Some(Resume { bottle: bottle.clone(), session: Some(id.clone()), fresh: false })
        }
        _ => None,
    };
    let turn = if resume.is_some() { session.turns + 1 } else { 1 };
    let number = session.runs + 1;
    let carried = session.carried.as_deref().filter(|_| resume.is_none());
    let note = note.or_else(|| {
        let rotates = resume.is_none() && session.session.is_some();
        rotates.then(|| "A fresh session begins, which was told the last answer.".to_owned())
    });
    let told = Told { events: &events, pull: session.pull.as_ref(), carried, border: context.border };
    let workspace = last
        .plan
        .clone
        .clone()
        .map(|git| Workspace::Git(Checkout { git, reference: last.plan.reference.clone() }));
    let start = StartRequest {
        v: Version,
        id: id(session, number, &events),
        agent: last.plan.agent.clone(),
        // A session goes on in its own bottles.
        bottles: if resume.is_some() { Vec::new() } else { last.plan.bottles.clone() },
        task: Some(prompt::render(told)),
        workspace,
        resume,
        label: Some(label(session)),
        color: None,
        backend: None,
        runtime: None,
        terminal: None,
    };
    session.runs = number;
    session.bottles.clone_from(&last.plan.bottles);
    let run = PrTurn {
        start,
        number,
        turn,
        sha: session.pull.as_ref().map(|pull| pull.sha.clone()),
        trace: events.first().and_then(|queued| queued.trace),
        events,
        since: context.now,
        note,
        bottle: None,
        end: None,
        comment: None,
        shown: None,
        status: None,
    };
    let begins = Action::start(&run);
    session.run = Some(run);
    Some(begins)
}

/// The same for the same run, and for no other: also not for one of a pull request that was forgotten meanwhile.
fn id(session: &PrSession, number: u64, events: &[PrQueued]) -> RequestId {
    let digest = events.first().map_or("", |queued| queued.event.digest.as_str());
    let text = format!("{}\n{}\n{}\n{number}\n{digest}", session.webhook, session.repo, session.number);
    let hash = hex::encode(Sha256::digest(text.as_bytes()));
    #[expect(clippy::expect_used, reason = "43 characters that every id may have")]
    let id = format!("pr-{}", &hash[..40]).parse().expect("an id");
    id
}

fn label(session: &PrSession) -> String {
    let text = format!("{}#{}", session.repo, session.number);
    text.chars().take(64).collect()
}
