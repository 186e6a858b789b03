//! The supervisor on a real bus, with a test client that plays the sidecar.
#![cfg(test)]

mod agent;
mod door;
mod killed;
mod program;
mod proposals;
mod proposing;
mod support;

use std::time::Duration;

use bus::layout::BOTTLES;
use bus::message::record::{BottleRecord, BottleState};
use bus::message::revision::{Change, Confirm, PolicyChangeReply, PolicyGet, PolicyGetReply, PolicyRevision};
use bus::message::{Message as _, Version};
use bus::role::Role;

use telemetry::collector::Collector;

use support::{World, add, change, hosts, replace, soon};

#[tokio::test]
async fn a_change_is_stored_pushed_and_confirmed() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let operator = world.role(Role::Operator).await;
    let mut first = change(0, replace(&["a.example"]));
    first.confirm = Confirm::Stored;
    assert_eq!(support::ask(&operator, &first).await, PolicyChangeReply::Stored { revision: 1 });

    let mut sidecar = world.sidecar().await;
    let get = PolicyGet { v: Version, bottle: first.bottle.clone() };
    let PolicyGetReply::Found { policy } = sidecar.bus.request(&get, support::SOON).await.unwrap() else {
        panic!("revision 1 must be found")
    };
    assert_eq!((policy.revision, hosts(&policy)), (1, vec!["a.example"]));

    let second = change(1, add("b.example"));
    let (reply, pushed) = tokio::join!(support::ask(&operator, &second), sidecar.runs());
    assert_eq!(reply, PolicyChangeReply::Running { revision: 2 });
    assert_eq!((pushed.revision, hosts(&pushed)), (2, vec!["a.example", "b.example"]));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_stale_or_invalid_change_changes_nothing() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let operator = world.role(Role::Operator).await;
    world.store(1, &["a.example"]).await;
    let stale = support::ask(&operator, &change(0, add("b.example"))).await;
    assert_eq!(stale, PolicyChangeReply::Conflict { current: 1 });
    let twice = support::ask(&operator, &change(1, add("a.example"))).await;
    let reason = "a.example has a route already; remove it first, or replace the whole policy".to_owned();
    assert_eq!(twice, PolicyChangeReply::Refused { reason });
    let absent = support::ask(&operator, &change(1, Change::RemoveRoute { host: "a.exampel".into() })).await;
    let reason = "a.exampel has no route; did you mean a.example?".to_owned();
    assert_eq!(absent, PolicyChangeReply::Refused { reason });
    assert_eq!(world.stored().await, (1, vec!["a.example".to_owned()]));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_refused_revision_is_followed_by_the_old_policy_under_a_new_number() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let operator = world.role(Role::Operator).await;
    world.store(1, &["a.example"]).await;
    let mut sidecar = world.sidecar().await;
    let asked = change(1, add("b.example"));
    let (reply, pushed) = tokio::join!(support::ask(&operator, &asked), sidecar.refuses(1));
    assert_eq!(pushed.revision, 2);
    let reason =
        "the sidecar refused revision 2: no token for it; the old policy is back as revision 3".to_owned();
    assert_eq!(reply, PolicyChangeReply::Refused { reason });
    let back = sidecar.runs_at_least(3).await;
    assert_eq!((back.revision, hosts(&back)), (3, vec!["a.example"]));
    assert_eq!(world.stored().await, (3, vec!["a.example".to_owned()]));
    supervisor.stop().await;
}

#[tokio::test]
async fn without_a_sidecar_a_change_is_stored_and_unconfirmed() {
    let world = World::start().await;
    let supervisor = world.supervise(Duration::from_millis(300)).await;
    let operator = world.role(Role::Operator).await;
    let reply = support::ask(&operator, &change(0, replace(&["a.example"]))).await;
    assert_eq!(reply, PolicyChangeReply::Unconfirmed { revision: 1 });
    assert_eq!(world.stored().await, (1, vec!["a.example".to_owned()]));
    supervisor.stop().await;
}

#[tokio::test]
async fn of_two_changes_to_one_revision_one_wins() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let operator = world.role(Role::Operator).await;
    world.store(1, &["a.example"]).await;
    let mut asked = [change(1, add("b.example")), change(1, add("c.example"))];
    for asked in &mut asked {
        asked.confirm = Confirm::Stored;
    }
    let replies = tokio::join!(support::ask(&operator, &asked[0]), support::ask(&operator, &asked[1]));
    let (won, lost) = (PolicyChangeReply::Stored { revision: 2 }, PolicyChangeReply::Conflict { current: 2 });
    assert!(replies == (won.clone(), lost.clone()) || replies == (lost, won), "{replies:?}");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_malformed_change_is_answered_with_what_is_wrong() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let unknown = PolicyGet { v: Version, bottle: support::bottle() };
    let sidecar = world.sidecar().await;
    assert_eq!(sidecar.bus.request(&unknown, support::SOON).await.unwrap(), PolicyGetReply::Unknown);
    let operator = world.role(Role::Operator).await;
    let reply =
        soon("an answer", operator.request(&support::Nonsense { v: 1 }, support::SOON)).await.unwrap();
    let PolicyChangeReply::Refused { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.starts_with("malformed message on policy.change: "), "{reason}");
    assert_eq!(support::Nonsense { v: 1 }.subject(), "policy.change");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_policy_goes_when_its_bottle_is_over() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let launcher = world.role(Role::Launcher).await;
    let (mut over, lives) = (support::record("me-00000"), support::record("you-00000"));
    let bottles = launcher.bucket(&BOTTLES);
    let recorded = bottles.create("me-00000", &over).await.unwrap();
    bottles.create("you-00000", &lives).await.unwrap();
    for (bottle, number) in [("me-00000", 1), ("you-00000", 1), ("me-00000", 2)] {
        world.store_of(bottle, number, &["a.example"]).await;
    }
    over.state = BottleState::Settling;
    let recorded = bottles.update("me-00000", &over, recorded).await.unwrap();
    over.state = BottleState::Exited;
    bottles.update("me-00000", &over, recorded).await.unwrap();
    soon("the removal", world.until_policies_are(&["you-00000"])).await;
    supervisor.stop().await;

    // It ends while there is no supervisor.
    bottles.delete("you-00000").await.unwrap();
    let recorded = bottles.create("you-00000", &lives).await.unwrap();
    let lost = BottleRecord { state: BottleState::Lost, ..lives };
    bottles.update("you-00000", &lost, recorded).await.unwrap();
    world.store_of("unheard-of-00000", 1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    soon("the removal", world.until_policies_are(&["unheard-of-00000"])).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_change_is_a_span_of_its_askers_trace() {
    let (world, mut collector) = (World::start().await, Collector::start().await);
    let supervisor = world
        .supervise_with(|config| {
            config.confirm_within = support::SOON;
            config.collector = Some(collector.endpoint());
        })
        .await;
    let trace = bus::Trace::random();
    let operator = world.role(Role::Operator).await.with_trace(trace);
    let mut heard = operator.subscribe::<PolicyRevision>("policy.changed.*").await.unwrap();
    let mut sidecar = world.sidecar().await;
    let first = change(0, replace(&["a.example"]));
    let (reply, _) = tokio::join!(support::ask(&operator, &first), sidecar.runs());
    assert_eq!(reply, PolicyChangeReply::Running { revision: 1 });
    let pushed = soon("the push", heard.next()).await.unwrap();
    assert!(matches!(support::ask(&operator, &first).await, PolicyChangeReply::Conflict { .. }));

    let sent = collector.named("policy.change").await;
    assert_eq!((sent.service.as_str(), sent.text("traceId")), ("bot-bottle-supervisor", &*trace.id()));
    assert_eq!(
        (sent.text("parentSpanId"), sent.text("spanId")),
        (&*trace.span_id(), &*pushed.trace.span_id())
    );
    assert_eq!(sent.attribute("bot_bottle.bottle"), "me-00000");
    assert_eq!(
        (sent.attribute("bot_bottle.outcome"), sent.attribute("bot_bottle.revision")),
        ("running".into(), "1".into())
    );
    let sent = collector.named("policy.change").await;
    assert_eq!(
        (sent.attribute("bot_bottle.outcome"), sent.span["status"]["code"].as_u64()),
        ("conflict".into(), Some(2))
    );
    supervisor.stop().await;
}
