//! Ways around the permissions that a stolen sidecar credential could try (invariant 4).

use async_nats::HeaderMap;
use bus::layout;
use bus::message::revision::PolicyRevision;
use bus::role::Role;
use bus::{Bus, BusError, Since};

use crate::permissions::Raw;
use crate::support::{SOON, World, blocked, slug, soon};

async fn thief(world: &World) -> Raw {
    let credentials = world.keys.mint_bottle(&slug("me-00000"), SOON * 10).unwrap();
    Raw::connect(world.server.url(), &credentials).await
}

/// How many messages a stream holds, as the admin sees it.
async fn held(admin: &Raw, stream: &str) -> u64 {
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    let answer = soon("the stream's state", admin.client.request(subject, "".into())).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    answer["state"]["messages"].as_u64().unwrap()
}

async fn admin(world: &World) -> Raw {
    Raw::connect(world.server.url(), &world.keys.mint(Role::Admin, None).unwrap()).await
}

fn event() -> bytes::Bytes {
    serde_json::to_vec(&blocked(&slug("me-00000"), "x1")).unwrap().into()
}

/// JetStream confirms to whatever subject the publisher names, with the server's own rights. Within one account such
/// a confirmation would land in the audit trail, overwrite a policy, or purge a stream (its `seq` is read as how far).
#[tokio::test]
async fn a_confirmation_cannot_be_sent_where_the_bottle_may_not_publish() {
    let world = World::start().await;
    let (thief, admin) = (thief(&world).await, admin(&world).await);
    let proposals = world.bottle(&slug("you-00000")).await;
    proposals.publish(&proposal("you-00000", "p1")).await.unwrap();
    proposals.publish(&proposal("you-00000", "p2")).await.unwrap();
    for target in [
        "audit.egress",
        "proposal.resolved.you-00000",
        "bottle.start",
        "$KV.policy.you-00000",
        "$JS.API.STREAM.PURGE.PROPOSALS",
        "$JS.API.STREAM.PURGE.EVENTS",
    ] {
        for _ in 0..3 {
            thief.client.publish_with_reply("egress.blocked.me-00000", target, event()).await.unwrap();
        }
    }
    // The server works in order: once this one is confirmed, all of the above were.
    soon("a confirmation", thief.client.request("egress.blocked.me-00000", event())).await.unwrap();
    let mut held_now = Vec::new();
    for stream in ["AUDIT", "START", "KV_policy", "PROPOSALS", "EVENTS"] {
        held_now.push((stream, held(&admin, stream).await));
    }
    let expected = [("AUDIT", 0), ("START", 0), ("KV_policy", 0), ("PROPOSALS", 2), ("EVENTS", 19)];
    assert_eq!(held_now, expected);
}

fn proposal(bottle: &str, id: &str) -> bus::message::proposal::Proposed {
    let content = serde_json::from_str(r#"{"kind":"egress","host":"example.com"}"#).unwrap();
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    let proposed = bus::message::proposal::Proposed::new(slug(bottle), content, 1, at);
    bus::message::proposal::Proposed { proposal: id.parse().unwrap(), ..proposed }
}

/// Roll-up, time-to-live and trace headers act on more than the message that carries them.
#[tokio::test]
async fn headers_give_a_bottle_no_more_than_its_subject() {
    let world = World::start().await;
    let (thief, admin) = (thief(&world).await, admin(&world).await);
    let operator = world.role(Role::Operator).await;
    let mut heard = operator.subscribe::<PolicyRevision>("policy.changed.*").await.unwrap();
    let launcher = world.role(Role::Launcher).await;
    launcher.publish(&crate::examples::failed("r1")).await.unwrap();
    for (header, value) in [
        ("Nats-Rollup", "all"),
        ("Nats-Rollup", "sub"),
        ("Nats-TTL", "1s"),
        ("Nats-Trace-Dest", "policy.changed.you-00000"),
        ("Nats-Schedule", "@at 2026-11-21T12:00:00Z"),
        ("Nats-Schedule-Target", "policy.changed.you-00000"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header, value);
        let message = event();
        thief.client.publish_with_headers("egress.blocked.me-00000", headers, message).await.unwrap();
    }
    soon("a confirmation", thief.client.request("egress.blocked.me-00000", event())).await.unwrap();
    assert!(held(&admin, "EVENTS").await >= 2, "the launcher's event must still be there");
    let mut events = operator
        .follow::<bus::message::event::Event>(layout::EVENTS, "bottle.failed.*", Since::All)
        .await
        .unwrap();
    assert!(events.stored().await.unwrap().is_some());
    // The one thing heard is what the supervisor itself pushes afterwards.
    let supervisor = world.role(Role::Supervisor).await;
    let revision = crate::examples::policy_revision("you-00000");
    supervisor.announce(&revision).await.unwrap();
    let first = soon("the revision", heard.next()).await.unwrap();
    assert_eq!(first.message.unwrap(), revision);
}

/// An answerer that is told to answer on a protected subject does not.
#[tokio::test]
async fn an_answer_goes_to_inboxes_only() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    let credentials = world.keys.mint(Role::Operator, None).unwrap();
    let operator = Raw::connect(world.server.url(), &credentials).await;
    let mut asked =
        supervisor.subscribe::<bus::message::revision::PolicyChange>("policy.change").await.unwrap();
    let change = serde_json::to_vec(&crate::examples::policy_change()).unwrap();
    operator.client.publish_with_reply("policy.change", "audit.supervisor", change.into()).await.unwrap();
    let asked = soon("the request", asked.next()).await.unwrap();
    let answer = asked.answer(&bus::message::revision::PolicyChangeReply::Conflict { current: 1 }).await;
    assert!(matches!(answer, Err(BusError::ForeignReply { .. })), "{answer:?}");
    assert_eq!(held(&admin(&world).await, "AUDIT").await, 0);
}

/// A message that a bottle may publish cannot say that it is about another bottle.
#[tokio::test]
async fn a_payload_belongs_to_its_subject() {
    let world = World::start().await;
    let thief = thief(&world).await;
    let operator = world.role(Role::Operator).await;
    let mut heard = operator.subscribe::<bus::message::egress::Blocked>("egress.blocked.*").await.unwrap();
    let forged = serde_json::to_vec(&blocked(&slug("you-00000"), "x1")).unwrap();
    thief.client.publish("egress.blocked.me-00000", forged.into()).await.unwrap();
    let heard = soon("the event", heard.next()).await.unwrap();
    let malformed = heard.message.unwrap_err();
    assert_eq!(malformed.reason, "it says that it belongs on egress.blocked.you-00000");
}

/// An identity from another bus, or from keys of the thief's own making, is none.
#[tokio::test]
async fn foreign_keys_are_refused() {
    let world = World::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let keys = bus::keys::Keys::init(elsewhere.path()).unwrap();
    let connect = bus::Connect::new(world.server.url(), keys.mint(Role::Admin, None).unwrap());
    let refused = Bus::connect(connect).await;
    assert!(matches!(refused, Err(BusError::Unauthorized { .. })), "{refused:?}");
}
