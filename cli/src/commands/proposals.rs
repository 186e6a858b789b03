//! `proposals`: what waits for a person, and answering it without a screen (S6).

mod answer;
mod list;
pub(crate) mod show;

pub(crate) use answer::key;

use anyhow::anyhow;
use base::id::{ProposalId, Slug};
use bus::message::proposal::ProposalRecord;
use bus::message::revision::PolicyRevision;
use bus::{Bus, layout};

use crate::args::proposals::Proposals;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};

/// Lists, shows or answers.
///
/// # Errors
/// As each of them.
pub async fn run(context: &Context, args: Proposals) -> Result<Exit, Failure> {
    match args {
        Proposals::List(args) => list::run(context, &args).await,
        Proposals::Show(args) => show::run(context, &args).await,
        Proposals::Approve(args) => answer::approve(context, args).await,
        Proposals::Reject(args) => answer::reject(context, args).await,
        Proposals::Edit(args) => Box::pin(answer::edit(context, args)).await,
    }
}

/// The proposal that somebody named; by any id under which it was asked for.
async fn known(bus: &Bus, proposal: &ProposalId) -> Result<ProposalRecord, Failure> {
    let bucket = bus.bucket(&layout::PROPOSED);
    if let Some(found) = bucket.get(proposal.as_str()).await.or_bus()? {
        return Ok(found.value);
    }
    let mut watch = bucket.watch().await.or_bus()?;
    while let Some(change) = watch.stored().await.or_bus()? {
        if let Some(Ok(found)) = change.value
            && found.value.answers_to(proposal)
        {
            return Ok(found.value);
        }
    }
    let missing = anyhow!(
        "there is no proposal {proposal}; `bot-bottle proposals list --all` shows those that are known"
    );
    Err(missing).or_exit(Exit::NotFound)
}

/// The bottle's policy; none once it is over.
async fn policy(bus: &Bus, bottle: &Slug) -> Result<Option<PolicyRevision>, Failure> {
    let stored = bus.bucket(&layout::POLICY).get(bottle.as_str()).await.or_bus()?;
    Ok(stored.map(|stored| stored.value))
}
