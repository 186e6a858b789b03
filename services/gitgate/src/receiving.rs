//! Push: commands are read, the pack goes to quarantine, the judge decides, upstream is asked, and what became of it is
//! recorded before the client reads it.

mod attempt;
mod decide;
mod quarantine;
mod report;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::HeaderMap;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::body::{Broken, Upload};
use crate::commands::{Commands, Parser};
use crate::gate::{FOLLOWING, Gate, PATIENCE};
use crate::http::route::{Route, Service, Version};
use crate::http::{Reply, announcement, complete, empty, error, outbox, streamed};
use crate::mirror::{Mirror, View};
use crate::pktline;
use crate::push::Push;
use attempt::{Attempt, Denial};
use decide::Decision;
use quarantine::Quarantine;

/// What a client may ask for; a pack is to hold all that its objects are made of, so that the quarantine holds what was sent
/// and nothing else.
const CAPABILITIES: &str =
    "report-status delete-refs side-band-64k quiet atomic ofs-delta push-options no-thin";
/// Bytes of one command, with its name and its length.
const COMMAND: u64 = 512;
/// Bytes of capabilities, push options and the shallow ends of a clone.
const AROUND: u64 = 8 << 20;

/// What upstream has, and what is understood.
pub(crate) async fn advertise(gate: &Gate, mirror: &Mirror, version: Version, route: &Route) -> Reply {
    if let Err(denial) = may_push(gate) {
        return error(route, &denial.reason);
    }
    gate.judge.expect(&mirror.repo);
    let view = match mirror.fresh(Duration::ZERO, PATIENCE).await {
        Ok(view) => view,
        Err(stale) => return error(route, &stale.to_string()),
    };
    let mut text = announcement(Service::ReceivePack);
    if version == Version::One {
        pktline::put(&mut text, b"version 1\n");
    }
    let agent = concat!("agent=bot-bottle-gitgate/", env!("CARGO_PKG_VERSION"));
    let mut capabilities = Some(format!("{CAPABILITIES} object-format={} {agent}", view.format.as_str()));
    let refs = view.refs.iter().map(|(name, object)| (object.as_str().to_owned(), name.as_str()));
    let none = view.refs.is_empty().then(|| ("0".repeat(view.format.digits()), "capabilities^{}"));
    for (object, name) in refs.chain(none) {
        let mut line = format!("{object} {name}");
        if let Some(capabilities) = capabilities.take() {
            line.push('\0');
            line.push_str(&capabilities);
        }
        line.push('\n');
        pktline::put(&mut text, line.as_bytes());
    }
    pktline::flush(&mut text);
    complete(route, text)
}

/// Whether pushes can be recorded; otherwise none is taken.
fn may_push(gate: &Gate) -> Result<(), Denial> {
    if gate.recorder.is_full() {
        return Err(Denial::new(
            "the git gate cannot record any more pushes until its bus takes the ones that wait",
        ));
    }
    if !gate.recorder.is_up() {
        return Err(Denial::new(
            "the push cannot be recorded: the git gate has lost its bus; try again later",
        ));
    }
    Ok(())
}

/// Takes a push, or refuses it.
pub(crate) async fn serve(
    gate: Arc<Gate>,
    mirror: Arc<Mirror>,
    route: Route,
    headers: HeaderMap,
    body: Incoming,
) -> Reply {
    let route = &route;
    let limits = &gate.limits;
    let most = limits.pack_bytes.saturating_add(limits.refs as u64 * COMMAND).saturating_add(AROUND);
    let mut attempt = Attempt::new(&mirror.repo);
    let mut upload = match Upload::new(&headers, body, most, gate.idle()) {
        Ok(upload) => upload,
        Err(broken) => {
            attempt.record(&gate, &Denial::from(broken)).await;
            return error(route, "the request's body is packed in a way that git does not use");
        }
    };
    match arrive(&gate, &mirror, &mut upload, &mut attempt).await {
        Ok(None) => empty(route),
        Ok(Some(arrived)) => {
            let (outbox, body) = outbox(gate.idle());
            let decision = Decision { gate: Arc::clone(&gate), mirror, attempt, arrived, outbox };
            gate.life.spawn(decision.run());
            streamed(route, body)
        }
        Err(denial) => {
            // A client that is still sending hears nothing.
            upload.drain(limits.pack_bytes).await;
            attempt.record(&gate, &denial).await;
            complete(route, attempt.refuse(&denial))
        }
    }
}

/// A push whose objects lie in quarantine.
pub(crate) struct Arrived {
    push: Push,
    /// Removed when this is dropped.
    _quarantine: Option<Quarantine>,
    _place: OwnedSemaphorePermit,
}

/// Reads all of a push. `None`: the client only asked whether it may.
async fn arrive(
    gate: &Gate,
    mirror: &Mirror,
    upload: &mut Upload,
    attempt: &mut Attempt,
) -> Result<Option<Arrived>, Denial> {
    let view = mirror.fresh(FOLLOWING, PATIENCE).await.map_err(|stale| Denial::new(&stale.to_string()))?;
    let mut rest = BytesMut::new();
    let mut parser = Parser::new(view.format, gate.limits.refs);
    let read = read(upload, &mut rest, &mut parser).await;
    let commands = parser.into_seen();
    attempt.wants(&commands);
    read?;
    if commands.updates.is_empty() {
        return Ok(None);
    }
    may_push(gate)?;
    attempt.compare(&view)?;
    let place = timeout(PATIENCE, Arc::clone(&gate.pushes).acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        return Err(Denial::new("other pushes of this bottle are still being judged; try again in a moment"));
    };
    let quarantine = if commands.has_pack() {
        quarantine::take(gate, mirror, view.format, upload, rest).await?
    } else {
        nothing_more(upload, &rest).await?;
        None
    };
    let push = push(mirror, &view, commands, quarantine.as_ref());
    quarantine::is_whole(gate, &push).await?;
    Ok(Some(Arrived { push, _quarantine: quarantine, _place: place }))
}

fn push(mirror: &Mirror, view: &View, commands: Commands, quarantine: Option<&Quarantine>) -> Push {
    Push {
        repo: mirror.repo.clone(),
        mirror: mirror.path.clone(),
        quarantine: quarantine.map(|quarantine| quarantine.path().to_owned()),
        default_branch: view.default_branch.clone(),
        updates: commands.updates,
        options: commands.options,
    }
}

/// Reads the list of commands; what is left of the pieces is the pack's.
async fn read(upload: &mut Upload, rest: &mut BytesMut, parser: &mut Parser) -> Result<(), Denial> {
    loop {
        let is_done = parser.feed(rest).map_err(|flaw| Denial::new(&flaw.to_string()))?;
        if is_done {
            return Ok(());
        }
        match upload.next().await? {
            Some(piece) => rest.extend_from_slice(&piece),
            None => return Err(Denial::new("the push ended before its list of commands did")),
        }
    }
}

async fn nothing_more(upload: &mut Upload, rest: &[u8]) -> Result<(), Denial> {
    if rest.is_empty() && upload.next().await?.is_none() {
        Ok(())
    } else {
        Err(Denial::new("something follows the list of commands, and only removals are in it"))
    }
}

impl From<Broken> for Denial {
    fn from(broken: Broken) -> Self {
        Self::new(&broken.to_string())
    }
}
