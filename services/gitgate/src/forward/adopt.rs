//! What upstream took, the mirror takes as well, so that nobody waits for it to be fetched. Only what upstream's refs reach
//! is taken: an agent's pack may hold more.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::timeout;

use super::alternate;
use crate::child::{self, Group};
use crate::gate::Gate;
use crate::mirror::Mirror;
use crate::push::Push;

/// How long it waits for a fetch that moves refs at this moment; that fetch, or the next, brings the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that git may say.
const LITTLE: usize = 64 << 10;

/// Bytes of a list of refs.
const LISTING: usize = 64 << 20;

/// Takes a push over. Failing is no harm: the next look at upstream fetches what is missing.
pub(crate) async fn adopt(gate: &Gate, mirror: &Mirror, push: &Push) {
    let Ok(_moving) = timeout(PATIENCE, mirror.moving.lock()).await else { return };
    if let Err(error) = take(gate, mirror, push).await {
        let error = base::inert(&format!("{error:#}"), 500);
        tracing::warn!(error, repo = mirror.repo, "what upstream took is fetched from there");
    }
}

async fn take(gate: &Gate, mirror: &Mirror, push: &Push) -> anyhow::Result<()> {
    if push.quarantine.is_some() {
        objects(gate, mirror, push).await?;
    }
    let mut moves = String::new();
    for update in &push.updates {
        let name = &update.name;
        match &update.new {
            Some(new) => moves.push_str(&format!("update {name} {new}\n")),
            None => moves.push_str(&format!("delete {name}\n")),
        }
    }
    let mut command = gate.git.command(&mirror.path);
    command.args(["update-ref", "--no-deref", "--stdin"]);
    let ended = child::finish(command, moves.as_bytes(), LITTLE, gate.upstream(), |_| ()).await?;
    if ended.status.success() { Ok(()) } else { bail!("moving refs: {}", ended.complaints.join("; ")) }
}

/// Packs what is new and reachable, straight into the mirror.
async fn objects(gate: &Gate, mirror: &Mirror, push: &Push) -> anyhow::Result<()> {
    let mut wanted = String::new();
    push.updates.iter().filter_map(|update| update.new.as_ref()).for_each(|new| {
        wanted.push_str(new.as_str());
        wanted.push('\n');
    });
    wanted.push_str("--not\n");
    let mut refs = gate.git.command(&mirror.path);
    refs.args(["for-each-ref", "--format=%(objectname)"]);
    let refs = child::finish(refs, b"", LISTING, gate.upstream(), |_| ()).await?;
    wanted.push_str(&String::from_utf8_lossy(&refs.out));
    let mut index = gate.git.command(&mirror.path);
    index.args(["index-pack", "--stdin", "--strict", "--threads=1"]).stdin(Stdio::piped());
    let mut index = Group::start(&mut index)?;
    let into = index.child.stdin.take().context("index-pack has no input")?;
    let mut pack = gate.git.command(&mirror.path);
    alternate(&mut pack, push.quarantine.as_deref());
    pack.args(["pack-objects", "--revs", "--stdout", "-q", "--threads=1", "--delta-base-offset"]);
    pack.stdout(Stdio::from(into.into_owned_fd()?));
    let packed = child::finish(pack, wanted.as_bytes(), LITTLE, gate.upstream(), |_| ()).await?;
    let said = child::complaints(index.child.stderr.take(), |_| ());
    let said = timeout(gate.upstream(), said).await.context("indexing takes too long")??;
    let indexed = index.wait().await?;
    if packed.status.success() && indexed.success() {
        return Ok(());
    }
    bail!("packing ended with {}, indexing with {indexed}: {}", packed.status, said.join("; "))
}
