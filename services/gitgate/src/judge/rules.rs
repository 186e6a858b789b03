//! Which refs a push may touch (G6). Pure.

use std::fmt;

use bus::message::proposal::RefChange;
use manifest::RefRules;

use super::pattern::Pattern;
use crate::object::ObjectId;
use crate::reference::RefName;

/// Names that forges keep for themselves, or that show another history than the one that was pushed: never, whatever
/// the rules say.
const NEVER: [&str; 11] = [
    "refs/pull/",
    "refs/pull-requests/",
    "refs/merge-requests/",
    "refs/changes/",
    "refs/for/",
    "refs/meta/",
    "refs/replace/",
    "refs/stash/",
    "refs/remotes/",
    "refs/bisect/",
    "refs/worktree/",
];

/// The rules of one repository, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    create: Option<Vec<Pattern>>,
    update: Option<Vec<Pattern>>,
    force: Vec<Pattern>,
    delete: Vec<Pattern>,
}

impl Rules {
    /// From a manifest.
    #[must_use]
    pub fn new(rules: &RefRules) -> Self {
        let read = |list: &Option<Vec<String>>| -> Option<Vec<Pattern>> {
            list.as_ref().map(|list| list.iter().map(|pattern| Pattern::new(pattern)).collect())
        };
        Self {
            create: read(&rules.create),
            update: read(&rules.update),
            force: read(&rules.force).unwrap_or_default(),
            delete: read(&rules.delete).unwrap_or_default(),
        }
    }
}

/// A ref of a push with what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The ref.
    pub name: RefName,
    /// What happens to it.
    pub change: RefChange,
    /// Where upstream has it.
    pub old: Option<ObjectId>,
    /// Where it should point.
    pub new: Option<ObjectId>,
    /// Whether it is upstream's default branch, or would be on a forge that does not tell cases apart.
    pub is_default: bool,
    /// Whether it would point at a commit.
    pub is_commit: bool,
    /// Whether a person has granted exactly this.
    pub is_granted: bool,
}

/// A ref that may not change so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefRefusal {
    /// The ref.
    pub name: RefName,
    /// What was to happen to it.
    pub change: RefChange,
    /// Why not.
    pub why: Why,
}

/// Why a ref may not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A name that forges or git keep for themselves.
    #[error("names of this kind are the forge's or git's own, and no rule can open them")]
    Reserved,
    /// A name that programs would take for something else.
    #[error("programs would take a branch or tag of this name for something else")]
    Confusing,
    /// A branch that points at something else than a commit.
    #[error("a branch can only point at a commit")]
    NotACommit,
    /// Neither a branch nor a tag, and not in the rules.
    #[error("only branches can be pushed, unless the bottle's `refs` name others in full")]
    Outside,
    /// Upstream's default branch.
    #[error("it is upstream's default branch: push another branch and open a pull request")]
    DefaultBranch,
    /// A tag.
    #[error("tags are not pushed unless the bottle's `refs` name them")]
    Tag,
    /// It is no fast-forward.
    #[error("it is no fast-forward, and commits would be lost: fetch, merge or rebase, and push again")]
    NotFastForward,
    /// A removal.
    #[error("refs are not removed unless the bottle's `refs.delete` names them")]
    Removal,
    /// The rules name others.
    #[error("the bottle's `refs` do not name it for this")]
    NotListed,
}

impl Why {
    /// Whether a person may grant it for once. What is reserved is not theirs to give either.
    #[must_use]
    pub fn can_be_granted(self) -> bool {
        matches!(
            self,
            Self::DefaultBranch | Self::Tag | Self::NotFastForward | Self::Removal | Self::NotListed
        )
    }
}

impl fmt::Display for RefRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be {}: {}", self.name, past(self.change), self.why)
    }
}

/// `created`, `updated`, …
#[must_use]
pub fn past(change: RefChange) -> &'static str {
    match change {
        RefChange::Create => "created",
        RefChange::Update => "updated",
        RefChange::Force => "forced",
        RefChange::Delete => "removed",
    }
}

/// Whether all refs of a push may change as it wants. One that may not refuses all.
///
/// # Errors
/// Every ref that may not, in the push's order.
pub fn check(refs: &[Wanted], rules: &Rules) -> Result<(), Vec<RefRefusal>> {
    let refused: Vec<_> = refs
        .iter()
        .filter_map(|wanted| {
            let why = objection(wanted, rules)?;
            let is_open = wanted.is_granted && why.can_be_granted();
            (!is_open).then(|| RefRefusal { name: wanted.name.clone(), change: wanted.change, why })
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

fn objection(wanted: &Wanted, rules: &Rules) -> Option<Why> {
    let Wanted { name, change, is_default, is_commit, .. } = wanted;
    let full = name.as_str();
    if NEVER.iter().any(|space| full.len() > space.len() && starts_with(full, space)) {
        return Some(Why::Reserved);
    }
    if name.branch().or(name.tag()).is_some_and(is_confusing) {
        return Some(Why::Confusing);
    }
    if name.branch().is_some() && *change != RefChange::Delete && !is_commit {
        return Some(Why::NotACommit);
    }
    let listed = |patterns: &[Pattern]| patterns.iter().any(|pattern| covers(pattern, name));
    let is_listed = match (change, &rules.create, &rules.update) {
        (RefChange::Create, None, _) | (RefChange::Update, _, None) => name.branch().is_some() && !is_default,
        (RefChange::Create, Some(create), _) => listed(create),
        (RefChange::Update, _, Some(update)) => listed(update),
        (RefChange::Force, ..) => listed(&rules.force),
        (RefChange::Delete, ..) => listed(&rules.delete),
    };
    (!is_listed).then(|| reason(wanted))
}

/// Outside branches and tags only a pattern that begins with the very space.
fn covers(pattern: &Pattern, name: &RefName) -> bool {
    let space = match (name.branch(), name.tag()) {
        (Some(_), _) => "refs/heads/",
        (_, Some(_)) => "refs/tags/",
        _ => {
            let mut parts = name.as_str().splitn(3, '/');
            let space = (parts.next(), parts.next());
            let length = space.0.map_or(0, str::len) + space.1.map_or(0, str::len) + 2;
            &name.as_str()[..length.min(name.as_str().len())]
        }
    };
    pattern.names_space(space) && pattern.matches(name.as_str())
}

fn reason(wanted: &Wanted) -> Why {
    match wanted.change {
        _ if wanted.name.branch().is_none() && wanted.name.tag().is_none() => Why::Outside,
        RefChange::Delete => Why::Removal,
        _ if wanted.is_default => Why::DefaultBranch,
        _ if wanted.name.tag().is_some() => Why::Tag,
        RefChange::Force => Why::NotFastForward,
        RefChange::Create | RefChange::Update => Why::NotListed,
    }
}

/// Names that git resolves as something else than a branch, or that look like an option.
fn is_confusing(short: &str) -> bool {
    let lower = short.to_ascii_lowercase();
    lower.ends_with("head")
        && !short.contains('/')
        && short.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        || lower == "head"
        || lower.starts_with("refs/")
        || short.starts_with('-')
}

/// Some forges' file systems do not tell cases apart.
fn starts_with(name: &str, space: &str) -> bool {
    name.get(..space.len()).is_some_and(|start| start.eq_ignore_ascii_case(space))
}

#[cfg(test)]
mod tests;
