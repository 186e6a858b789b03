//! A WebSocket after its handshake (RFC 6455): both directions in frames, whole messages judged before any of their
//! bytes go on, clean ones unchanged and at once.
//!
//! ```text
//! agent ─▶ Source (frame) ─▶ Direction ─▶ Leaving (judge) ─▶ Outbox ─▶ origin
//! agent ◀─ Outbox ◀─ Arriving (judge) ◀─ Direction ◀─ (frame) Source ◀─ origin
//! ```

pub mod frame;

mod arriving;
mod direction;
mod judge;
mod leaving;
mod outbox;

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, SEC_WEBSOCKET_EXTENSIONS};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::split;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::incoming::Watch;
use crate::inspect::Inspection;
use crate::record::Exchange;
use crate::refusal::Refusal;
use crate::running::Under;
use crate::serve::Agent;
use crate::wire::Wire;
use arriving::Arriving;
use direction::{Direction, End};
use frame::Sender;
use leaving::Leaving;

/// How long the last Close of both directions may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// Status codes of a Close (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;
const POLICY_VIOLATION: u16 = 1008;

/// A WebSocket to which its origin has agreed.
pub(crate) struct Opened {
    pub(crate) origin: Upgraded,
    pub(crate) exchange: Exchange,
    pub(crate) inspection: Inspection,
    pub(crate) watch: Watch,
}

/// Offers no extension: what is compressed from message to message (RFC 7692) could not be judged by itself.
pub(crate) fn offer_no_extension(request: &mut HeaderMap) {
    request.remove(SEC_WEBSOCKET_EXTENSIONS);
}

/// Whether the origin insists on one.
pub(crate) fn has_extension(answer: &HeaderMap) -> bool {
    answer.contains_key(SEC_WEBSOCKET_EXTENSIONS)
}

/// Carries messages both ways until one side ends it, one must not go on, or nothing moves.
pub(crate) async fn relay<S: Agent>(gateway: &Gateway, agent: Wire<S>, opened: Opened) {
    let Opened { origin, mut exchange, inspection, watch } = opened;
    let gauge = agent.gauge();
    let (agent_reader, agent_writer) = split(agent);
    let (origin_reader, origin_writer) = split(TokioIo::new(origin));
    let mut leaving =
        Direction::new(Sender::Agent, agent_reader, origin_writer, || Leaving::new(inspection.clone()));
    let mut arriving = Direction::new(Sender::Origin, origin_reader, agent_writer, || {
        Arriving::new(&gateway.screen, watch, inspection.clone())
    });
    let ended = tokio::select! {
        ended = async { tokio::try_join!(leaving.run(), arriving.run()) } => ended.map(|_| ()),
        () = gauge.stalled(gateway.idle()) => Err(End::Over),
        () = gateway.life.stopping() => Err(End::Over),
    };
    let (sent, received) = gauge.moved();
    exchange.relayed(sent, received);
    if let Err(end) = ended
        && let Some((code, reason)) = conclude(gateway, &inspection, end).await
    {
        let key = Some(rand::random());
        let goodbyes = async {
            tokio::join!(leaving.hang_up(code, &reason, key), arriving.hang_up(code, &reason, None))
        };
        // Whoever does not take it in time is cut off.
        let _ = timeout(GOODBYE, goodbyes).await;
    }
}

/// Records an early end, if it is a refusal; the Close that tells both sides of it.
async fn conclude(gateway: &Gateway, inspection: &Inspection, end: End) -> Option<(u16, String)> {
    let (code, refusal) = match end {
        End::Refused(refusal) => (POLICY_VIOLATION, refusal),
        End::Broken(Sender::Agent, flaw) => {
            (PROTOCOL_ERROR, Refusal::Malformed(format!("in its WebSocket {flaw}")))
        }
        End::Broken(Sender::Origin, flaw) => {
            tracing::debug!(%flaw, "an origin broke its WebSocket");
            return Some((PROTOCOL_ERROR, flaw.to_string()));
        }
        End::Gone | End::Over => return None,
    };
    let status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
    let under = Under { revision: inspection.revision, ..gateway.live.current().under() };
    let recorded = gateway.recorder.refuse(&refusal, &inspection.asked, status, under, None).await;
    if let Err(worse) = recorded {
        tracing::warn!(rule = refusal.rule(), because = worse.rule(), "cannot record a refused message");
    }
    Some((code, format!("{}: {refusal}", refusal.rule())))
}
