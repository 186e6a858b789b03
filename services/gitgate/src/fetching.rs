//! Clone, fetch and pull: upstream is looked at, and git's own upload-pack answers from the mirror.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::body::{Broken, Upload};
use crate::child::{Group, complaints};
use crate::gate::{FOLLOWING, Gate, PATIENCE};
use crate::http::route::{Route, Service, Version};
use crate::http::{Outbox, Reply, announcement, error, outbox, streamed};
use crate::mirror::Mirror;
use crate::pktline;

/// Bytes of one request, unpacked: what a client has and wants.
const REQUEST: u64 = 64 << 20;
/// Bytes that are read from git at once.
const PIECE: usize = 64 << 10;

/// Settings under which the mirror is shown.
const SETTINGS: [(&str, &str); 5] = [
    // Partial clones, as forges offer them.
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "false"),
    // One bottle's clone must not take the machine.
    ("pack.threads", "1"),
    ("pack.windowMemory", "256m"),
    ("uploadpack.keepAlive", "5"),
];

/// What the repository has, and what is understood.
pub(crate) async fn advertise(gate: &Gate, mirror: &Mirror, version: Version, route: &Route) -> Reply {
    if let Err(stale) = mirror.fresh(Duration::ZERO, PATIENCE).await {
        return error(route, &stale.to_string());
    }
    let first = if version == Version::Two { Vec::new() } else { announcement(Service::UploadPack) };
    let mut command = command(gate, mirror, version);
    command.arg("--advertise-refs").arg(&mirror.path);
    answer(gate, route, command, None, first).await
}

/// Sends what is asked for.
pub(crate) async fn serve(
    gate: &Gate,
    mirror: &Mirror,
    version: Version,
    route: &Route,
    headers: &HeaderMap,
    body: Incoming,
) -> Reply {
    let upload = match Upload::new(headers, body, REQUEST, gate.idle()) {
        Ok(upload) => upload,
        Err(broken) => return error(route, &broken.to_string()),
    };
    if let Err(stale) = mirror.fresh(FOLLOWING, PATIENCE).await {
        return error(route, &stale.to_string());
    }
    let mut command = command(gate, mirror, version);
    command.arg(&mirror.path).stdin(Stdio::piped());
    answer(gate, route, command, Some(upload), Vec::new()).await
}

fn command(gate: &Gate, mirror: &Mirror, version: Version) -> Command {
    let mut command = gate.git.command_with(&mirror.path, SETTINGS);
    command.env("GIT_PROTOCOL", version.as_str());
    command.args(["upload-pack", "--stateless-rpc", "--strict"]);
    command.arg(format!("--timeout={}", gate.limits.idle_seconds));
    command
}

/// Runs git between the client's request and the answer to it.
async fn answer(
    gate: &Gate,
    route: &Route,
    mut command: Command,
    upload: Option<Upload>,
    first: Vec<u8>,
) -> Reply {
    let Ok(Ok(place)) = timeout(PATIENCE, Arc::clone(&gate.fetches).acquire_owned()).await else {
        return error(route, "the git gate is busy with other fetches of this bottle; try again in a moment");
    };
    let group = match Group::start(&mut command) {
        Ok(group) => group,
        Err(failure) => {
            tracing::error!(error = base::error::chain(&failure), "git cannot be run");
            return error(route, "the git gate cannot run git");
        }
    };
    let (outbox, body) = outbox(gate.idle());
    gate.life.spawn(async move {
        relay(group, upload, first, outbox).await;
        drop(place);
    });
    streamed(route, body)
}

/// Until git has said all, or the client has gone.
async fn relay(mut group: Group, upload: Option<Upload>, first: Vec<u8>, outbox: Outbox) {
    let (stdin, stdout, stderr) =
        (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
    let give = async {
        match (upload, stdin) {
            (Some(upload), Some(stdin)) => give(upload, stdin).await,
            _ => Ok(()),
        }
    };
    let hear = async { complaints(stderr, |_| ()).await.unwrap_or_default() };
    let work = async {
        let (given, said, complaints) = tokio::join!(give, take(stdout, first, &outbox), hear);
        (given, said, complaints, group.wait().await)
    };
    let (given, said, complaints, status) = tokio::select! {
        ended = work => ended,
        () = outbox.gone() => return,
    };
    if given.is_ok() && said.is_some() && status.as_ref().is_ok_and(ExitStatus::success) {
        return;
    }
    let has_ended = status.is_ok_and(|status| status.code().is_some());
    let is_heard = given.is_ok() && has_ended && said.is_some_and(|said| said > 0);
    let reason = match given {
        Err(broken) => broken.to_string(),
        Ok(()) if complaints.is_empty() => "git ended without a word".to_owned(),
        Ok(()) => base::inert(&complaints.join("; "), 500),
    };
    tracing::debug!(reason, "a fetch broke off");
    // What is wrong git has said itself, and an answer that is cut off has no end that the client would take for one. To
    // break the connection could take the words back that are on their way.
    if is_heard {
        return;
    }
    // In the middle of an answer there is no place for words.
    if said != Some(0) || outbox.send(pktline::error(&reason).into()).await.is_err() {
        outbox.fail().await;
    }
}

/// Gives git what the client asks.
async fn give(mut upload: Upload, mut stdin: ChildStdin) -> Result<(), Broken> {
    while let Some(piece) = upload.next().await? {
        if stdin.write_all(&piece).await.is_err() {
            // Git has heard enough; what is wrong with it, it says itself.
            break;
        }
    }
    Ok(())
}

/// Gives the client what git says, at the client's speed. How much that was; `None` if the client does not take it.
async fn take(stdout: Option<ChildStdout>, first: Vec<u8>, outbox: &Outbox) -> Option<u64> {
    let mut stdout = stdout?;
    if !first.is_empty() {
        outbox.send(first.into()).await.ok()?;
    }
    let (mut said, mut piece) = (0, BytesMut::with_capacity(PIECE));
    loop {
        let read = stdout.read_buf(&mut piece).await.ok()?;
        if read == 0 {
            return Some(said);
        }
        said += read as u64;
        let ready: Bytes = piece.split().freeze();
        outbox.send(ready).await.ok()?;
        piece.reserve(PIECE);
    }
}
