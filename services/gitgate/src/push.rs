//! A push that waits in quarantine to be judged.

use std::path::PathBuf;

use crate::object::ObjectId;
use crate::reference::RefName;

/// One ref of a push, as the agent wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The ref.
    pub name: RefName,
    /// Where upstream has it; absent for a new ref.
    pub old: Option<ObjectId>,
    /// Where it should point; absent for a removal.
    pub new: Option<ObjectId>,
}

/// A push whose objects lie in quarantine. The mirror was brought up to date with upstream just before.
#[derive(Clone, Debug)]
pub struct Push {
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// The bare mirror. Its refs are exactly upstream's.
    pub mirror: PathBuf,
    /// The object directory that holds what the agent sent and nothing else. `None` if it sent no objects.
    pub quarantine: Option<PathBuf>,
    /// The branch that upstream's `HEAD` names, if there is one.
    pub default_branch: Option<RefName>,
    /// The refs that should move; at least one, and none twice.
    pub updates: Vec<Update>,
    /// Push options (`git push -o`), as sent. Untrusted.
    pub options: Vec<String>,
}
