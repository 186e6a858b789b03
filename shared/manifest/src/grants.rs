//! What operators have granted and kept for a bottle: `bottles/NAME.grants.md` beside the operator's own file, which is
//! never written. The supervisor adds to it, `bot-bottle grants` takes from it, and loading merges it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base::id::{BottleName, ProposalId};
use policy::EgressDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::home::{Home, Links, read};
use crate::load::parse_grants;
use crate::problem::FileProblems;

/// What follows a bottle's name in the name of its grants file, before `.md`.
pub(crate) const SUFFIX: &str = ".grants";

/// The frontmatter of a grants file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Kept grants of bot-bottle: frontmatter")]
pub struct GrantsFile {
    /// The grants, oldest first.
    pub grants: Vec<Grant>,
}

/// Requests that an operator allowed for good, and when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The requests.
    pub allow: EgressDelta,
    /// The proposal that asked for it; its name for `bot-bottle grants revoke`.
    pub proposal: ProposalId,
    /// The public key of the operator who granted it.
    pub operator: String,
    /// When it was granted, RFC 3339.
    pub at: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a grant is not kept, or not revoked.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// There is no such bottle to keep it for.
    #[error("there is no bottle file {}; make one, or grant it until the bottle exits", path.display())]
    NoBottle {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file has problems, and is left as it is.
    #[error("the kept grants cannot be read: {0}")]
    Broken(FileProblems),
    /// The file cannot be read or written.
    #[error("cannot write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The grants file of a bottle, which need not exist.
#[must_use]
pub fn file(home: &Home, bottle: &BottleName) -> PathBuf {
    home.bottles().join(format!("{bottle}{SUFFIX}.md"))
}

/// The kept grants of a bottle; none if there is no file.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load(home: &Home, bottle: &BottleName) -> Result<Vec<Grant>, FileProblems> {
    let path = file(home, bottle);
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    let text = read(&path, Links::Followed).map_err(|message| FileProblems::whole(&path, message))?;
    parse_grants(&path, &text)
}

/// Adds a grant to those of a bottle. One that is kept already is not kept twice.
///
/// # Errors
/// [`GrantsError`]; nothing has changed then.
pub fn keep(home: &Path, bottle: &BottleName, grant: Grant) -> Result<(), GrantsError> {
    let home = Home::at(home.to_owned());
    let own = home.bottles().join(format!("{bottle}.md"));
    if !own.exists() {
        return Err(GrantsError::NoBottle { path: own });
    }
    change(&home, bottle, |grants| {
        let is_new = !grants.iter().any(|kept| kept.proposal == grant.proposal || kept.allow == grant.allow);
        if is_new {
            grants.push(grant);
        }
        is_new
    })
    .map(drop)
}

/// Removes the grant of this proposal; false if there is none. Bottles that run keep it until they exit.
///
/// # Errors
/// [`GrantsError`]; nothing has changed then.
pub fn revoke(home: &Path, bottle: &BottleName, proposal: &ProposalId) -> Result<bool, GrantsError> {
    change(&Home::at(home.to_owned()), bottle, |grants| {
        let before = grants.len();
        grants.retain(|kept| kept.proposal != *proposal);
        grants.len() < before
    })
}

/// Changes the file whole or not at all, one at a time. Says whether it changed.
fn change(
    home: &Home,
    bottle: &BottleName,
    edit: impl FnOnce(&mut Vec<Grant>) -> bool,
) -> Result<bool, GrantsError> {
    let path = file(home, bottle);
    let failed = |source: io::Error| GrantsError::File { path: path.clone(), source };
    let directory = File::open(home.bottles()).map_err(failed)?;
    // Given back when the directory is closed.
    rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| failed(error.into()))?;
    let mut grants = load(home, bottle).map_err(GrantsError::Broken)?;
    if !edit(&mut grants) {
        return Ok(false);
    }
    let text = text(bottle, grants).map_err(failed)?;
    // What is written is read by the same rules as ever.
    parse_grants(&path, &text).map_err(GrantsError::Broken)?;
    let mut staged = tempfile::NamedTempFile::new_in(home.bottles()).map_err(failed)?;
    staged.write_all(text.as_bytes()).map_err(failed)?;
    staged.as_file().sync_all().map_err(failed)?;
    staged.persist(&path).map_err(|error| failed(error.error))?;
    Ok(true)
}

fn text(bottle: &BottleName, grants: Vec<Grant>) -> io::Result<String> {
    let yaml = serde_yaml::to_string(&GrantsFile { grants }).map_err(io::Error::other)?;
    Ok(format!(
        "---\n{yaml}---\nWhat operators have granted and kept for the bottle {bottle}. Written by bot-bottle; `bot-bottle \
         grants` lists and revokes.\n"
    ))
}
