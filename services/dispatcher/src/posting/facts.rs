//! What a bottle was refused, and what it waits for, from the streams.

use std::collections::HashMap;

use base::id::{ProposalId, Slug};
use bus::layout::{EVENTS, PROPOSALS};
use bus::message::egress::Blocked;
use bus::message::proposal::{Content, Outcome, Proposed, Resolved};
use bus::{Bus, BusError, Since};
use jiff::{SignedDuration, Timestamp};

use crate::comment::{Facts, LISTED};

/// Refusals and proposals that are read.
const READ: usize = 1000;
/// How much the bus's clock may be behind.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// Looks it up.
///
/// # Errors
/// The bus.
pub(super) async fn of(bus: &Bus, bottle: &Slug, since: Timestamp) -> Result<Facts, BusError> {
    let since = Since::Time(since - SLACK);
    let mut facts = Facts::default();
    let mut refusals = bus.follow::<Blocked>(EVENTS, &format!("egress.blocked.{bottle}"), since).await?;
    while let Some(record) = refusals.stored().await? {
        let Ok(blocked) = record.message else { continue };
        facts.blocked_count += 1;
        // One that was no request has no place that it was for.
        let words = match blocked.host.as_str() {
            "" => blocked.reason,
            host => {
                format!("{} {}://{host}{}: {}", blocked.method, blocked.scheme, blocked.path, blocked.reason)
            }
        };
        if facts.blocked.len() < LISTED && !facts.blocked.contains(&words) {
            facts.blocked.push(words);
        }
        if facts.blocked_count == READ {
            break;
        }
    }
    // Equal proposals are one, whatever ids they were made under.
    let (mut ids, mut waiting) = (HashMap::<ProposalId, String>::new(), Vec::<(String, String)>::new());
    let mut made = bus.follow::<Proposed>(PROPOSALS, &format!("proposal.new.{bottle}"), since).await?;
    while let Some(record) = made.stored().await? {
        let Ok(proposed) = record.message else { continue };
        if waiting.iter().all(|(hash, _)| *hash != proposed.hash) {
            waiting.push((proposed.hash.clone(), words(&proposed.content)));
        }
        ids.insert(proposed.proposal, proposed.hash);
        if ids.len() == READ {
            break;
        }
    }
    let mut resolved =
        bus.follow::<Resolved>(PROPOSALS, &format!("proposal.resolved.{bottle}"), since).await?;
    while let Some(record) = resolved.stored().await? {
        // One that expired with its bottle was never answered.
        if let Ok(resolved) = record.message
            && resolved.outcome != Outcome::Expired
            && let Some(hash) = ids.get(&resolved.proposal)
        {
            waiting.retain(|(waits, _)| waits != hash);
        }
    }
    facts.waiting_count = waiting.len();
    facts.waiting = waiting.into_iter().map(|(_, words)| words).take(LISTED).collect();
    Ok(facts)
}

fn words(content: &Content) -> String {
    let kind = content.kind().as_str();
    match content {
        Content::Egress(delta) => format!("{kind}: {}", delta.host),
        Content::TokenMatch(found) => format!("{kind}: {} {}{}", found.method, found.host, found.path),
        _ => kind.to_owned(),
    }
}
