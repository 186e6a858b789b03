//! What a push wants of its refs, as git knows it.

use bus::message::proposal::RefChange;

use super::batch::{Kind, Lookup};
use super::program::Repository;
use super::rules::Wanted;
use super::trouble::Trouble;
use super::work::Work;

/// Each ref with what happens to it.
pub(crate) fn of(repository: &Repository<'_>, work: &Work) -> Result<Vec<Wanted>, Trouble> {
    let push = repository.push;
    if push.updates.len() > work.limits.refs {
        return Err(Trouble::TooLarge { what: "refs", most: work.limits.refs as u64 });
    }
    let default = push.default_branch.as_ref();
    let mut lookup = Lookup::new(repository)?;
    let mut wanted = Vec::with_capacity(push.updates.len());
    for update in &push.updates {
        repository.deadline.left()?;
        let mut is_commit = false;
        if let Some(new) = &update.new {
            is_commit = lookup.kind(new)? == Kind::Commit;
        }
        let change = match (&update.old, &update.new) {
            (None, Some(_)) => RefChange::Create,
            (_, None) => RefChange::Delete,
            (Some(old), Some(new)) => {
                let both = is_commit && lookup.kind(old)? == Kind::Commit;
                let is_onwards = both && repository.is_ancestor(old, new)?;
                // A tag that moves does so against what a tag is for.
                if is_onwards && update.name.tag().is_none() { RefChange::Update } else { RefChange::Force }
            }
        };
        wanted.push(Wanted {
            name: update.name.clone(),
            change,
            old: update.old.clone(),
            new: update.new.clone(),
            is_default: default.is_some_and(|name| name.as_str().eq_ignore_ascii_case(update.name.as_str())),
            is_commit,
            is_granted: false,
        });
    }
    Ok(wanted)
}
