//! Where a pack waits to be judged: a directory of its own that holds what the agent sent and nothing else. Git itself
//! unpacks, checks and indexes it, bounded in what it may use.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::BytesMut;
use rustix::process::Resource;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::time::timeout;

use super::attempt::Denial;
use crate::body::{Upload, fill};
use crate::child::{self, Group, complaints};
use crate::commands::Format;
use crate::gate::Gate;
use crate::mirror::Mirror;
use crate::push::Push;

/// `PACK`, a version, and how many objects there are.
const HEADER: usize = 12;
/// Lines of git's complaint that are told.
const TOLD: usize = 10;
/// Bytes of what git says of one object.
const LINE: usize = 128;
/// Bytes that git needs besides the objects that it has in hand.
const ROOM: u64 = 512 << 20;

/// See the module. Removed when it is dropped.
pub(crate) struct Quarantine(TempDir);

impl Quarantine {
    /// The object directory.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Takes the pack that follows. `None`: there is no object in it.
pub(super) async fn take(
    gate: &Gate,
    mirror: &Mirror,
    format: Format,
    upload: &mut Upload,
    mut rest: BytesMut,
) -> Result<Option<Quarantine>, Denial> {
    let no_pack = || Denial::new("what follows the list of commands is no pack");
    if !fill(upload, &mut rest, HEADER).await? {
        return Err(no_pack());
    }
    let word = |at: usize| rest[at..at + 4].try_into().map(u32::from_be_bytes).map_err(|_| no_pack());
    if &rest[..4] != b"PACK" || !matches!(word(4)?, 2 | 3) {
        return Err(no_pack());
    }
    let (count, most) = (u64::from(word(8)?), gate.limits.objects);
    if count > most {
        let reason = format!(
            "this push brings {count} objects, and one may bring {most}; push fewer commits at a time"
        );
        return Err(Denial { objects: Some(count), ..Denial::new(&reason) });
    }
    if count == 0 {
        let digest = format.digits() / 2;
        fill(upload, &mut rest, HEADER + digest + 1).await?;
        return if rest.len() == HEADER + digest { Ok(None) } else { Err(no_pack()) };
    }
    let made = tempfile::Builder::new().prefix("push.").tempdir_in(&gate.quarantines);
    let quarantine = Quarantine(made.map_err(|error| cannot(&error))?);
    std::fs::create_dir(quarantine.path().join("pack")).map_err(|error| cannot(&error))?;
    index(gate, mirror, &quarantine, upload, rest)
        .await
        .map_err(|denial| Denial { objects: Some(count), ..denial })?;
    Ok(Some(quarantine))
}

/// Refuses a push that names objects which are nowhere. What those that were sent are made of is there: git has looked.
pub(super) async fn is_whole(gate: &Gate, push: &Push) -> Result<(), Denial> {
    let wanted: Vec<&str> =
        push.updates.iter().filter_map(|update| Some(update.new.as_ref()?.as_str())).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut command = gate.git.command(&push.mirror);
    if let Some(quarantine) = &push.quarantine {
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quarantine);
    }
    command.args(["cat-file", "--batch-check=%(objecttype)"]);
    let (input, most) = (format!("{}\n", wanted.join("\n")), wanted.len() * LINE);
    let patience = Duration::from_secs(gate.limits.scan_seconds);
    let said = child::finish(command, input.as_bytes(), most, patience, |_| ())
        .await
        .map_err(|error| cannot(&error))?;
    let text = String::from_utf8_lossy(&said.out);
    let is_there = |line: &&str| matches!(*line, "commit" | "tag" | "tree" | "blob");
    if said.status.success() && text.lines().filter(is_there).count() == wanted.len() {
        return Ok(());
    }
    let missing = text.lines().find_map(|line| line.strip_suffix(" missing")).unwrap_or("an object");
    Err(Denial::new(&format!(
        "this push names {missing}, and neither brings it nor does upstream have it; \
         in a shallow clone, run git fetch --unshallow"
    )))
}

fn cannot(error: &dyn std::error::Error) -> Denial {
    tracing::error!(error = base::error::chain(error), "a push cannot be put into quarantine");
    Denial::new(
        "the git gate cannot put this push into quarantine; its operator finds the reason in the gate's log",
    )
}

async fn index(
    gate: &Gate,
    mirror: &Mirror,
    quarantine: &Quarantine,
    upload: &mut Upload,
    rest: BytesMut,
) -> Result<(), Denial> {
    let limits = &gate.limits;
    let mut command = gate.git.command(&mirror.path);
    command
        .env("GIT_OBJECT_DIRECTORY", quarantine.path())
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", mirror.path.join("objects"))
        .args(["index-pack", "--stdin", "--strict", "--threads=1"])
        .arg(format!("--max-input-size={}", limits.pack_bytes))
        .stdin(Stdio::piped());
    let mut group = Group::start(&mut command).map_err(|failure| cannot(&failure))?;
    let memory = limits.object_bytes.saturating_mul(3).saturating_add(ROOM);
    let file = limits.pack_bytes.saturating_mul(2).saturating_add(ROOM);
    let bounds = [
        (Resource::Data, memory),
        (Resource::Fsize, file),
        (Resource::Cpu, limits.scan_seconds),
        (Resource::Core, 0),
    ];
    group.limit(&bounds).map_err(|error| cannot(&error))?;
    let (stdin, stderr) = (group.child.stdin.take(), group.child.stderr.take());
    let patience = Duration::from_secs(limits.scan_seconds);
    let give = async {
        match stdin {
            Some(stdin) => give(upload, stdin, rest, patience).await,
            None => Ok(()),
        }
    };
    let end = async {
        let said = complaints(stderr, |_| ()).await.unwrap_or_default();
        (said, group.wait().await)
    };
    let work = async {
        tokio::pin!(end);
        tokio::select! {
            // What git refuses early is told at once; the rest of the pack is thrown away.
            (said, status) = &mut end => (Ok(()), said, status),
            given = give => match (given, timeout(patience, &mut end).await) {
                (given @ Err(_), _) => (given, Vec::new(), Err(std::io::Error::other("broken off"))),
                (given, Ok((said, status))) => (given, said, status),
                (_, Err(_)) => (Err(Denial::new("git takes too long to check this push")), Vec::new(), Err(std::io::Error::other("late"))),
            },
        }
    };
    let (given, said, status) = work.await;
    given?;
    let status = status.map_err(|error| cannot(&error))?;
    if status.success() {
        return Ok(());
    }
    Err(Denial::new(&refusal(&said, status.code().is_none(), gate)))
}

/// Feeds git. It reads as fast as it unpacks.
async fn give(
    upload: &mut Upload,
    mut stdin: ChildStdin,
    rest: BytesMut,
    patience: Duration,
) -> Result<(), Denial> {
    let mut piece = Some(rest.freeze());
    while let Some(bytes) = piece {
        match timeout(patience, stdin.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            // It has ended, and says why.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(Denial::new("git takes too long to unpack this push")),
        }
        piece = upload.next().await?;
    }
    Ok(())
}

/// In git's own words, without those that are about git alone.
fn refusal(said: &[String], is_killed: bool, gate: &Gate) -> String {
    let limits = &gate.limits;
    if said.iter().any(|line| line.contains("maximum allowed size")) {
        return format!("this push is larger than {} bytes; push fewer commits at a time", limits.pack_bytes);
    }
    let shown =
        |line: &String| base::inert(line.trim_start_matches("fatal: ").trim_start_matches("error: "), 300);
    let complaints: Vec<String> = said[said.len().saturating_sub(TOLD)..].iter().map(shown).collect();
    let mut reason = format!("git refuses the objects of this push: {}", complaints.join("\n  "));
    if is_killed || said.iter().any(|line| line.contains("Out of memory")) {
        reason.push_str("\n  unpacking them takes more memory, disk or time than a push may take");
    }
    reason
}
