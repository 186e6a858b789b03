//! A tunnel in which the agent and a host speak TLS that the proxy lets through unseen (`tls.passthrough`, E1). What is
//! judged is the host that CONNECT and the ClientHello name, and the address that is dialled.

pub mod hello;

use base::accept::Connection;
use bytes::BytesMut;
use policy::{AllowedHost, CheckedRoute, Scheme, admit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::time::{Instant, timeout_at};

use crate::ca;
use crate::gateway::{Call, Gateway};
use crate::identify::{Door, Tunnel};
use crate::refusal::{Asked, Refusal};
use crate::running::Running;
use crate::wire::Wire;
use hello::{Hello, MOST};

/// A fatal alert, access_denied (RFC 8446, section 6): the client hears at once that nothing comes of it.
const DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
/// What the agent was answered when the tunnel was opened; the host's own answers are not seen.
const OPENED: u16 = 200;

/// The route that lets a tunnel's TLS through, if one does.
pub(crate) fn route<'r>(running: &'r Running, tunnel: &Tunnel) -> Option<(&'r CheckedRoute, AllowedHost)> {
    let (route, host) = admit(&running.policy, Scheme::Https, &tunnel.host, tunnel.port).ok()?;
    route.is_passthrough().then_some((route, host))
}

/// Lets a tunnel's TLS through. Its first byte has arrived; its ClientHello has to be there by `deadline`.
pub(crate) async fn pass(
    gateway: &Gateway,
    running: &Running,
    (route, host): (&CheckedRoute, AllowedHost),
    tunnel: &Tunnel,
    (mut wire, deadline): (Wire<Connection>, Instant),
) {
    let mut asked = Asked::of_connection(&Door::Tunnel(tunnel.clone()));
    "CONNECT".clone_into(&mut asked.method);
    let mut call = Call::new(asked);
    let passing = try_pass(gateway, running, (route, host), tunnel, (&mut wire, deadline), &mut call);
    let passed = tokio::select! {
        passed = passing => passed,
        () = gateway.life.stopping() => return,
    };
    if let Err(refusal) = passed {
        gateway.record(refusal, &mut call, 0).await;
        // It may be gone.
        let _ = wire.write_all(&DENIED).await;
        let _ = wire.shutdown().await;
    }
}

async fn try_pass(
    gateway: &Gateway,
    running: &Running,
    (route, host): (&CheckedRoute, AllowedHost),
    tunnel: &Tunnel,
    (wire, deadline): (&mut Wire<Connection>, Instant),
    call: &mut Call,
) -> Result<(), Refusal> {
    let late = |_| Refusal::HandshakeTimeout(gateway.limits.handshake_seconds);
    let (hello, bytes) = timeout_at(deadline, read_hello(wire)).await.map_err(late)??;
    agree(&hello, tunnel)?;
    let exchange = gateway.recorder.admit(&call.asked, tunnel.port, running.under(), None).await?;
    let exchange = call.exchange.insert(exchange);
    exchange.pass_unscanned();
    let link = running.equipped(route).ok_or(Refusal::Internal)?.upstream.link();
    let mut origin = gateway.dialer.reach(link, &host).await?;
    exchange.answered(OPENED);
    let gauge = wire.gauge();
    tokio::select! {
        // Either side may simply hang up.
        _ = async {
            origin.write_all(&bytes).await?;
            copy_bidirectional(wire, &mut origin).await
        } => {}
        () = gauge.stalled(gateway.idle()) => {}
        () = gateway.life.stopping() => {}
    }
    let (sent, received) = gauge.moved();
    exchange.relayed(sent, received);
    Ok(())
}

/// The ClientHello, however slowly it comes, and all bytes that came with it.
async fn read_hello(wire: &mut Wire<Connection>) -> Result<(Hello, BytesMut), Refusal> {
    let broken = || Refusal::Handshake("it broke off".to_owned());
    let mut bytes = BytesMut::with_capacity(MOST);
    loop {
        if let Some(hello) = hello::read(&bytes).map_err(|flaw| Refusal::Malformed(flaw.to_string()))? {
            return Ok((hello, bytes));
        }
        if wire.read_buf(&mut bytes).await.map_err(|_| broken())? == 0 {
            return Err(broken());
        }
    }
}

/// Whether the handshake is with the tunnel's host, as far as anybody can see.
fn agree(hello: &Hello, tunnel: &Tunnel) -> Result<(), Refusal> {
    if hello.is_encrypted {
        return Err(Refusal::Identity(
            "the TLS handshake may hold a second name that is encrypted (ECH); switch that off in the client"
                .to_owned(),
        ));
    }
    if ca::names(hello.server_name.as_deref(), &tunnel.host) {
        return Ok(());
    }
    let shown =
        hello.server_name.as_deref().map_or_else(|| "no host".to_owned(), |name| base::inert(name, 255));
    Err(Refusal::Identity(format!("the TLS handshake names {shown}, CONNECT {}", tunnel.host.authority())))
}
