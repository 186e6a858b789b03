//! What a bottle's sidecars have recorded and the bus has not taken by the time they are gone: it is put aside before
//! anything of the bottle is removed, and brought to the bus when there is one (E7, invariant 3).

mod delivery;
mod gate;
mod plain;
mod proxy;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base::id::Slug;
use handover::spool::{DELIVERED, RECORDS};

pub(crate) use self::delivery::{Registry, deliver};

use crate::state::{self, StateDir, off_the_runtime};
use crate::trash::Trash;
use crate::{egress, gitgate};

/// Where records are put aside: `<home>/records`, a directory for each bottle. It exists as long as something is in it.
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
            let waits = proxy::waits(&proxy)? || gate::waits(&gate.join(RECORDS))?;
            // A launcher may have died over it.
            if !waits && !begun.exists() {
                return Ok(false);
            }
            DirBuilder::new().recursive(true).mode(0o700).create(begun.join(egress::NAME))?;
            // First what says how much was delivered: without it all would be delivered again.
            for (from, to) in [
                (proxy.join(DELIVERED), begun.join(egress::NAME).join(DELIVERED)),
                (proxy.join(RECORDS), begun.join(egress::NAME).join(RECORDS)),
                (gate.join(RECORDS), begun.join(gitgate::NAME)),
            ] {
                take(&from, &to)?;
            }
            fs::rename(begun, place).map(|()| true)
        })
        .await
    }

    /// The bottles of which there are records.
    fn bottles(&self) -> io::Result<Vec<Slug>> {
        state::named_after_bottles(&self.0)
    }

    fn of(&self, bottle: &Slug) -> PathBuf {
        self.0.join(bottle.as_str())
    }

    async fn remove(&self, bottle: &Slug) -> io::Result<()> {
        let (shelf, place) = (self.0.clone(), self.of(bottle));
        off_the_runtime(move || {
            Trash::of(&shelf).remove(&place)?;
            // Refused as long as something else is there.
            drop(fs::remove_dir(&shelf));
            Ok(())
        })
        .await
    }
}

fn take(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
        fs::create_dir(state.spool("gitgate").join(RECORDS)).unwrap();
        state
    }

    #[tokio::test]
    async fn what_was_delivered_is_not_put_aside() {
        let home = tempfile::tempdir().unwrap();
        let (shelf, state) = (Shelf::below(home.path()), state(home.path()));
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        fs::write(state.spool("egress").join(RECORDS), "one\n").unwrap();
        fs::write(state.spool("egress").join(DELIVERED), "00000000000000000004").unwrap();
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        assert!(!home.path().join("records").exists());
    }

    #[tokio::test]
    async fn what_waits_is_moved_and_a_move_that_was_interrupted_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let (shelf, state) = (Shelf::below(home.path()), state(home.path()));
        fs::write(state.spool("egress").join(RECORDS), "one\ntwo\n").unwrap();
        fs::write(state.spool("egress").join(DELIVERED), "00000000000000000004").unwrap();
        fs::write(state.spool("gitgate").join(RECORDS).join("1.record"), "{}").unwrap();
        let begun = home.path().join("records/.agent-abcde/egress");
        fs::create_dir_all(&begun).unwrap();
        fs::rename(state.spool("egress").join(DELIVERED), begun.join(DELIVERED)).unwrap();

        assert!(shelf.put(&bottle(), &state).await.unwrap());
        assert_eq!(shelf.bottles().unwrap(), [bottle()]);
        let place = shelf.of(&bottle());
        assert_eq!(fs::read_to_string(place.join("egress/delivered")).unwrap(), "00000000000000000004");
        assert_eq!(fs::read_to_string(place.join("egress/records")).unwrap(), "one\ntwo\n");
        assert!(place.join("gitgate/1.record").exists() && !begun.exists());
        assert!(!shelf.put(&bottle(), &state).await.unwrap());
        shelf.remove(&bottle()).await.unwrap();
        assert!(!home.path().join("records").exists());
    }
}
