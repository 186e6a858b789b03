//! The connection itself.

use std::time::Duration;

use bus::message::egress::Blocked;
use bus::role::Role;
use bus::{Bus, BusError, Connect, Link, Trace};

use crate::support::{World, blocked, slug, soon};

#[tokio::test]
async fn an_unreachable_bus_is_a_clear_error_in_time() {
    let home = tempfile::tempdir().unwrap();
    let keys = bus::keys::Keys::init(home.path()).unwrap();
    // A port that listens and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let credentials = keys.mint(Role::Operator, None).unwrap();
    let connect = Connect { deadline: Duration::from_millis(300), ..Connect::new(url.clone(), credentials) };
    let error = soon("the error", Bus::connect(connect.clone())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach the message bus at {url} within 300ms: start it with `bot-bottle up`, or point NATS_URL at a running one"
        )
    );
    drop(silent);
    let error = soon("the error", Bus::connect(connect)).await.unwrap_err();
    assert!(matches!(error, BusError::Unreachable { .. }), "{error}");
}

/// Greets as a server of 2.10 would, and as far as a client needs to be connected.
#[tokio::test]
async fn an_old_server_is_refused_with_its_cure() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let home = tempfile::tempdir().unwrap();
    let keys = bus::keys::Keys::init(home.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let old = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let info = r#"INFO {"server_id":"x","version":"2.10.22","max_payload":1048576,"headers":true,"nonce":"abc","proto":1}"#;
        stream.write_all(format!("{info}\r\n").as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"PING\r\n") {
            said.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"PONG\r\n").await.unwrap();
        stream
    };
    let connect = Bus::connect(Connect::new(url.clone(), keys.mint(Role::Operator, None).unwrap()));
    let (refused, _stream) = soon("both", async { tokio::join!(connect, old) }).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "the message bus at {url} is nats-server 2.10.22, which can lose acknowledged messages: use 2.11.0 or newer"
        )
    );
}

#[tokio::test]
async fn subscriptions_come_back_with_the_bus() {
    let world = World::start().await;
    let me = slug("me-00000");
    let (bottle, operator) = (world.bottle(&me).await, world.role(Role::Operator).await);
    let mut heard = operator.subscribe::<Blocked>("egress.blocked.*").await.unwrap();
    let mut link = operator.link();
    world.kill_server();
    soon("the loss", link.wait_for(|link| *link == Link::Down)).await.unwrap();
    soon("the return", link.wait_for(|link| *link == Link::Up)).await.unwrap();
    let trace = Trace::random();
    let bottle = bottle.with_trace(trace);
    // A live subscription hears what comes after it is there again, so this says it until it is heard.
    let repeat = async {
        for n in 0.. {
            bottle.publish(&blocked(&me, &format!("x{n}"))).await.unwrap();
        }
    };
    let heard = tokio::select! {
        heard = soon("an event", heard.next()) => heard.unwrap(),
        () = repeat => unreachable!(),
    };
    assert_eq!(heard.message.unwrap().bottle, me);
    assert_eq!(heard.trace.id(), trace.id(), "the trace crosses the accounts");
}

#[tokio::test]
async fn a_subject_that_one_may_not_hear_is_an_error() {
    let world = World::start().await;
    let bottle = world.bottle(&slug("me-00000")).await;
    let mut heard = bottle.subscribe::<Blocked>("egress.blocked.you-00000").await.unwrap();
    let error = soon("the refusal", heard.next()).await.err().unwrap();
    assert!(matches!(error, BusError::Denied(_)), "{error}");
}

#[tokio::test]
async fn an_expired_identity_is_cut_off_and_cannot_come_back() {
    let world = World::start().await;
    let credentials = world.keys.mint_bottle(&slug("me-00000"), Duration::from_secs(6)).unwrap();
    let bottle = world.connect(credentials.clone()).await;
    let mut link = bottle.link();
    soon("the cut", link.wait_for(|link| *link == Link::Down)).await.unwrap();
    // The server counts in whole seconds: within the last one it still lets in, only to cut off again.
    soon("the refusal", async {
        loop {
            match Bus::connect(Connect::new(world.server.url(), credentials.clone())).await {
                Err(BusError::Unauthorized { .. }) => break,
                other => drop(other.expect("no other refusal")),
            }
        }
    })
    .await;
}
