//! Telling the forge (D7): one task for each pull request that has something to tell, which brings the comment to what
//! it should say, and tries again while the forge is away.

mod facts;

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use bus::layout::PR_SESSIONS;
use bus::message::pr::{PrSession, PrTurn};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::busy::Busy;
use crate::comment;
use crate::forge::{Forge, ForgeError, PullRequest};
use crate::machine::Input;
use crate::registry;
use crate::shared::Shared;

/// Pull requests that are posted to at once.
const AT_ONCE: usize = 8;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// See the module.
pub(crate) struct Posting {
    busy: Busy,
    room: Semaphore,
}

/// Why an answer is not there yet.
#[derive(Debug, thiserror::Error)]
enum Unposted {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Posting {
    pub(crate) fn new() -> Self {
        Self { busy: Busy::default(), room: Semaphore::new(AT_ONCE) }
    }

    /// Has a pull request's comments brought to what they should say.
    pub(crate) fn wake(&self, shared: &Arc<Shared>, key: &str) {
        if self.busy.begin(key) {
            let (shared, key) = (shared.clone(), key.to_owned());
            shared.life.clone().spawn(async move { work(&shared, &key).await });
        }
    }
}

async fn work(shared: &Arc<Shared>, key: &str) {
    let mut pause = PAUSE;
    loop {
        match Box::pin(post(shared, key)).await {
            Ok(()) => {
                pause = PAUSE;
                if shared.posting.busy.rest(key) {
                    return;
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(key, error = base::error::chain(&error), "a pull request is not told yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // The next dispatcher begins with what is not posted.
            () = shared.life.stopping() => return,
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// Tells everything that is to be told now.
async fn post(shared: &Arc<Shared>, key: &str) -> Result<(), Unposted> {
    let Some(found) = shared.bus.bucket(&PR_SESSIONS).get(key).await? else { return Ok(()) };
    let session = found.value;
    for turn in session.answers.iter().chain(&session.run) {
        let outcome = tell(shared, key, &session, turn).await;
        if turn.end.is_none() {
            outcome?;
            continue;
        }
        match outcome {
            Err(Unposted::Forge(error)) if is_given_up(shared, turn, &error) => {
                let request = turn.start.id.as_str();
                tracing::error!(key, request, error = error.to_string(), "an answer cannot be posted");
            }
            outcome => outcome?,
        }
        let request = &turn.start.id;
        match registry::bring(shared, key, Input::Answered { request }, None).await {
            Ok(_) | Err(registry::Untaken::Full) => {}
            Err(registry::Untaken::Bus(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_given_up(shared: &Shared, turn: &PrTurn, error: &ForgeError) -> bool {
    let ended = turn.end.as_ref().map_or(turn.since, |end| end.at);
    let waited = shared.clock.now().duration_since(ended).unsigned_abs();
    error.is_final() || waited > shared.limits.posting
}

async fn tell(shared: &Arc<Shared>, key: &str, session: &PrSession, turn: &PrTurn) -> Result<(), Unposted> {
    let Some(forge) = shared.forges.get(&session.webhook) else { return Ok(()) };
    let facts = match &turn.bottle {
        Some(bottle) => facts::of(&shared.bus, bottle, turn.since).await?,
        None => comment::Facts::default(),
    };
    let text = comment::render(turn, &facts);
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    if turn.shown.as_ref() != Some(&digest) {
        let _one_of_few = shared.posting.room.acquire().await;
        let comment = write(forge, session, turn, &text).await?;
        registry::commented(shared, key, turn, (comment, &digest)).await?;
    }
    let (status, words) = comment::status(turn);
    if let Some(sha) = turn.sha.as_ref().filter(|_| turn.status != Some(status)) {
        match forge.pull(&session.repo, session.number).report(sha, status, words).await {
            Ok(()) => {}
            // A commit that a push has replaced may be gone, and Gitea answers 500 for it; the comment is there.
            Err(error) if !error.is_passing() => {
                tracing::warn!(key, error = error.to_string(), "a commit's status cannot be reported");
            }
            Err(error) => return Err(error.into()),
        }
        registry::posted(shared, key, &turn.start.id, |turn| turn.status = Some(status)).await?;
    }
    Ok(())
}

/// Brings the one comment of a run to a text; its id.
async fn write(forge: &Forge, session: &PrSession, turn: &PrTurn, text: &str) -> Result<u64, ForgeError> {
    let pull: PullRequest<'_> = forge.pull(&session.repo, session.number);
    let known = match turn.comment {
        Some(comment) => Some(comment),
        None => pull.find(&comment::marker(turn), turn.since - SLACK).await?,
    };
    if let Some(comment) = known
        && pull.edit(comment, text).await?
    {
        return Ok(comment);
    }
    pull.comment(text).await
}

/// How much the forge's clock may be behind.
const SLACK: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
