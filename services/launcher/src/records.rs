//! What a bottle's sidecars have recorded and the bus has not taken by the time they are gone: it is put aside before
//! anything of the bottle is removed, and brought to the bus when there is one (E7, invariant 3).

mod delivery;
mod foreign;
mod gate;
mod proxy;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base::id::Slug;
use rustix::fs::CWD;

pub(crate) use self::delivery::{Registry, deliver};
use self::foreign::Foreign;
use crate::state::{self, StateDir, off_the_runtime};
use crate::trash::Trash;
use crate::{egress, gitgate};

/// The longest message that the bus takes, and so the longest record.
const LONGEST: u64 = 1 << 20;

/// Where records are put aside: `<home>/records`, a directory for each bottle.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    /// Below the given bot-bottle home.
    pub(crate) fn below(home: &Path) -> Self {
        Self(home.join("records"))
    }

    /// Takes a bottle's records out of its state; nothing of it runs any more. Returns whether there were any.
    ///
    /// # Errors
    /// They cannot be moved. What was moved is found by the next try.
    pub(crate) async fn put(&self, bottle: &Slug, state: &StateDir) -> io::Result<bool> {
        let (proxy, gate) = (state.spool(egress::NAME), state.spool(gitgate::NAME));
        let (place, begun) = (self.of(bottle), self.0.join(format!(".{bottle}")));
        off_the_runtime(move || {
            let moved = [take_requests(&proxy, &begun)?, take_pushes(&gate, &begun)?];
            // A launcher may have died over it.
            let is_any = moved.contains(&true) || begun.exists();
            if is_any {
                fs::rename(begun, place)?;
            }
            Ok(is_any)
        })
        .await
    }

    /// Removes what removals that were interrupted have left; nothing else is removed meanwhile.
    ///
    /// # Errors
    /// The first thing that cannot be removed; everything else is.
    pub(crate) async fn empty_trash(&self) -> io::Result<()> {
        let trash = Trash::of(&self.0);
        off_the_runtime(move || trash.empty()).await
    }

    /// The bottles of which there are records.
    fn bottles(&self) -> io::Result<Vec<Slug>> {
        state::named_after_bottles(&self.0)
    }

    fn of(&self, bottle: &Slug) -> PathBuf {
        self.0.join(bottle.as_str())
    }

    async fn remove(&self, bottle: &Slug) -> io::Result<()> {
        let (trash, place) = (Trash::of(&self.0), self.of(bottle));
        off_the_runtime(move || trash.remove(&place)).await
    }
}

fn take_requests(spool: &Path, begun: &Path) -> io::Result<bool> {
    let Some(spool) = Foreign::open(CWD, spool)? else { return Ok(false) };
    if !proxy::waits(&spool)? {
        return Ok(false);
    }
    let to = own(begun, egress::NAME)?;
    // First what says how much was delivered: without it all would be delivered again.
    for name in [proxy::DELIVERED, proxy::RECORDS] {
        if spool.length(name)?.is_some() {
            spool.give(name, &to)?;
        }
    }
    Ok(true)
}

fn take_pushes(spool: &Path, begun: &Path) -> io::Result<bool> {
    let Some(spool) = Foreign::open(CWD, spool)? else { return Ok(false) };
    let Some(records) = spool.below(handover::spool::RECORDS)? else { return Ok(false) };
    let waiting = gate::waiting(&records)?;
    if waiting.is_empty() {
        return Ok(false);
    }
    let to = own(begun, gitgate::NAME)?;
    waiting.iter().try_for_each(|name| records.give(name, &to))?;
    Ok(true)
}

/// A directory of ours, made if need be.
fn own(begun: &Path, name: &str) -> io::Result<File> {
    let path = begun.join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateRoot;

    fn bottle() -> Slug {
        "agent-abcde".parse().unwrap()
    }

    fn state(home: &Path) -> StateDir {
        let state = StateRoot::below(home).of(&bottle());
        state.create().unwrap();
        fs::create_dir(state.spool("gitgate").join("records")).unwrap();
        state
    }

    #[tokio::test]
    async fn what_was_delivered_is_not_put_aside() {
        let home = tempfile::tempdir().unwrap();
        let (shelf, state) = (Shelf::below(home.path()), state(home.path()));
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        fs::write(state.spool("egress").join("records"), "one\n").unwrap();
        fs::write(state.spool("egress").join("delivered"), "00000000000000000004").unwrap();
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        assert!(!home.path().join("records").exists());
    }

    #[tokio::test]
    async fn what_waits_is_moved_and_a_move_that_was_interrupted_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let (shelf, state) = (Shelf::below(home.path()), state(home.path()));
        fs::write(state.spool("egress").join("records"), "one\ntwo\n").unwrap();
        fs::write(state.spool("egress").join("delivered"), "00000000000000000004").unwrap();
        fs::write(state.spool("gitgate").join("records").join("1.record"), "{}").unwrap();
        let begun = home.path().join("records/.agent-abcde/egress");
        fs::create_dir_all(&begun).unwrap();
        fs::rename(state.spool("egress").join("delivered"), begun.join("delivered")).unwrap();

        assert!(shelf.put(&bottle(), &state).await.unwrap());
        assert_eq!(shelf.bottles().unwrap(), [bottle()]);
        let place = shelf.of(&bottle());
        assert_eq!(fs::read_to_string(place.join("egress/delivered")).unwrap(), "00000000000000000004");
        assert_eq!(fs::read_to_string(place.join("egress/records")).unwrap(), "one\ntwo\n");
        assert!(place.join("gitgate/1.record").exists() && !begun.exists());
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        shelf.remove(&bottle()).await.unwrap();
        assert_eq!(fs::read_dir(home.path().join("records")).unwrap().count(), 0);
    }
    /// A gate that was taken over makes its directory a link to another bottle's.
    #[tokio::test]
    async fn nothing_of_another_bottle_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let (shelf, state) = (Shelf::below(home.path()), state(home.path()));
        let other = home.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("1.record"), "{}").unwrap();
        for (spool, target) in [("gitgate", &other), ("egress", &other.join("1.record"))] {
            let records = state.spool(spool).join("records");
            let _ = fs::remove_dir(&records);
            std::os::unix::fs::symlink(target, records).unwrap();
        }
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        assert!(other.join("1.record").exists() && !home.path().join("records").exists());
    }
}
