//! What a bottle asks for, and what an operator makes of it, on a real bus.

mod killed;

use bus::BusError;
use bus::layout::BOTTLES;
use bus::message::proposal::{
    DecideRefusal, DecideReply, OperatorKey, Outcome, ProposalRecord, ProposalState, Proposed, Resolved,
    Scope, Standing, Verdict,
};
use bus::message::record::{BottleRecord, BottleState};
use bus::role::Role;
use tokio::task::JoinSet;

use crate::proposing::{Answerer, Asker, BOTTLE, Forged, ONCE, egress, json, signed};
use crate::support::{self, World, soon};

fn resolved(reply: DecideReply) -> Resolved {
    let DecideReply::Resolved { resolved } = reply else { panic!("{reply:?}") };
    *resolved
}

fn refusal(reply: DecideReply) -> DecideRefusal {
    let DecideReply::Refused { why } = reply else { panic!("{reply:?}") };
    why
}

#[tokio::test]
async fn what_is_approved_runs_and_everybody_is_told() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let asked = asker.asks(egress("b.example", &["GET"]), "docs\u{202e}\n").await;
    let card = operator.sees(|card| card.is_open()).await;
    assert_eq!(
        (card.count, &card.proposal, card.justification.as_deref()),
        (1, &asked.proposal, Some("docs\u{202e}\n"))
    );
    let Standing::Pending { until, .. } = asker.standing(&asked.proposal).await else { panic!() };
    assert_eq!(until, card.until);
    let (reply, pushed) = tokio::join!(operator.answers(&card, 1, BOTTLE), asker.sidecar.runs());
    assert_eq!((pushed.revision, support::hosts(&pushed)), (2, vec!["a.example", "b.example"]));
    assert_eq!(pushed.policy.routes[1].matches[0].methods, ["GET"]);
    let end = resolved(reply);
    assert_eq!((end.outcome, end.revision, end.scope), (Outcome::Approved, Some(2), Some(Scope::Bottle)));
    assert_eq!(end.decision.as_ref().unwrap().operator, operator.key.id());
    assert_eq!(asker.hears().await, end);
    assert_eq!(soon("the end", operator.ends.next()).await.unwrap().message.unwrap(), end);
    let Standing::Resolved { resolved } = asker.standing(&asked.proposal).await else { panic!() };
    assert_eq!(*resolved, end);
    operator.sees(|card| matches!(card.state, ProposalState::Resolved { told: true, .. })).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn an_operator_grants_less_than_was_asked_for() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &[]), "all of it").await;
    let card = operator.sees(|card| card.is_open()).await;
    let delta = serde_json::json!({ "host": "b.example", "paths": [{ "type": "prefix", "value": "/docs" }] });
    let edited = json(serde_json::json!({ "as": "delta", "delta": delta }));
    let narrower = Verdict::Modify { scope: Scope::Bottle, edited };
    let (reply, pushed) = tokio::join!(operator.answers(&card, 1, narrower), asker.sidecar.runs());
    assert_eq!(resolved(reply).outcome, Outcome::Modified);
    assert_eq!(pushed.policy.routes[1].matches[0].paths[0].value, "/docs");
    supervisor.stop().await;
}

#[tokio::test]
async fn what_is_rejected_is_asked_again_in_other_words_only() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let first = asker.asks(egress("b.example", &[]), "please").await;
    let card = operator.sees(|card| card.is_open()).await;
    assert_eq!(resolved(operator.answers(&card, 1, Verdict::Reject).await).outcome, Outcome::Rejected);
    assert_eq!(asker.hears().await.reason.as_deref(), Some("fine"));
    asker.asks(egress("b.example", &[]), "please").await;
    let again = asker.hears().await;
    assert_eq!(again.outcome, Outcome::Refused);
    asker.asks(egress("b.example", &[]), "the build needs it").await;
    let card = operator.sees(|card| card.is_open()).await;
    assert_eq!(card.asks_again, Some(first.proposal));
    supervisor.stop().await;
}

#[tokio::test]
async fn nobody_answers_or_the_bottle_takes_it_back_or_is_over() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let short = Proposed {
        wait_seconds: Some(4),
        ..Proposed::new(support::bottle(), egress("b.example", &[]), 1, base::clock::Clock::System.now())
    };
    asker.sidecar.bus.publish(&short).await.unwrap();
    assert_eq!(asker.hears().await.outcome, Outcome::Expired);
    let asked = asker.asks(egress("c.example", &[]), "soon").await;
    operator.sees(|card| card.is_open() && card.proposal == asked.proposal).await;
    let Standing::Resolved { resolved } = asker.withdraws(&asked.proposal).await else { panic!() };
    assert_eq!((resolved.outcome, &asker.hears().await), (Outcome::Withdrawn, &*resolved));
    // Another bottle's proposal is nobody's.
    let elsewhere: Proposed = Proposed { bottle: "you-00000".parse().unwrap(), ..short };
    assert!(matches!(asker.sidecar.bus.publish(&elsewhere).await, Err(BusError::Denied(_))));

    asker.asks(egress("d.example", &[]), "at the end").await;
    operator.sees(|card| card.is_open() && card.justification.as_deref() == Some("at the end")).await;
    let bottles = world.role(Role::Launcher).await.bucket(&BOTTLES);
    let over = BottleRecord { state: BottleState::Exited, ..support::record("me-00000") };
    bottles.create("me-00000", &over).await.unwrap();
    let end = asker.hears().await;
    assert_eq!((end.outcome, end.reason.as_deref()), (Outcome::Expired, Some("the bottle is over")));
    asker.asks(egress("e.example", &[]), "after the end").await;
    assert_eq!(asker.hears().await.outcome, Outcome::Refused);
    supervisor.stop().await;
}

#[tokio::test]
async fn an_answer_counts_once_from_who_may_give_it_and_about_what_was_shown() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    world.store(2, &["a.example", "c.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &[]), "please").await;
    let card = operator.sees(|card| card.is_open()).await;
    let stale = refusal(operator.answers(&card, 1, BOTTLE).await);
    let differs = vec!["+ https://c.example every request".to_owned()];
    assert_eq!(stale, DecideRefusal::StaleBase { current: 2, differs });
    let foreign = signed(&OperatorKey::generate(), &card, 2, BOTTLE);
    assert_eq!(refusal(operator.sends(&foreign).await), DecideRefusal::UnknownOperator);
    let mut unsigned = operator.signs(&card, 2, BOTTLE);
    unsigned.signature = String::new();
    assert_eq!(refusal(operator.sends(&unsigned).await), DecideRefusal::BadSignature);
    // The sidecar refuses what was approved: the proposal waits on, and that answer counts no more.
    let approval = operator.signs(&card, 2, BOTTLE);
    let (reply, _) = tokio::join!(operator.sends(&approval), asker.sidecar.refuses(2));
    let DecideRefusal::ApplyFailed { reason } = refusal(reply) else { panic!() };
    assert!(reason.contains("no token for it"), "{reason}");
    let card = operator.sees(|card| matches!(&card.state, ProposalState::Pending { failed: Some(_) })).await;
    assert_eq!(refusal(operator.sends(&approval).await), DecideRefusal::Replayed);
    asker.sidecar.runs_at_least(4).await;
    let (reply, _) = tokio::join!(operator.answers(&card, 4, BOTTLE), asker.sidecar.runs_at_least(5));
    assert_eq!(resolved(reply).revision, Some(5));
    let again = refusal(operator.answers(&card, 5, BOTTLE).await);
    assert_eq!(again, DecideRefusal::AlreadyResolved { outcome: Outcome::Approved });
    supervisor.stop().await;
}

/// The first wall: the bus lets no bottle speak as an operator or as the supervisor, whatever it has signed.
#[tokio::test]
async fn a_bottle_cannot_answer_itself() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &[]), "please").await;
    let card = operator.sees(|card| card.is_open()).await;
    let stolen = operator.signs(&card, 1, BOTTLE);
    let refused = asker.sidecar.bus.request(&stolen, support::SOON).await;
    assert!(matches!(refused, Err(BusError::Denied(_))), "{refused:?}");
    let forged: Resolved = json(serde_json::json!({
        "v": 1, "bottle": "me-00000", "proposal": card.proposal, "outcome": "approved", "at": "2026-01-01T00:00:00Z",
    }));
    let refused = asker.sidecar.bus.publish(&forged).await;
    assert!(matches!(refused, Err(BusError::Denied(_))), "{refused:?}");
    assert!(matches!(asker.standing(&card.proposal).await, Standing::Pending { .. }));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_bottle_is_told_nothing_of_anothers() {
    let world = World::start().await;
    let supervisor = world.supervise(support::SOON).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let you = Proposed {
        bottle: "you-00000".parse().unwrap(),
        ..Proposed::new(support::bottle(), egress("b.example", &[]), 1, base::clock::Clock::System.now())
    };
    let credentials = world.keys.mint_bottle(&you.bottle, support::SOON * 10).unwrap();
    let bus = bus::Bus::connect(bus::Connect::new(world.server.url(), credentials)).await.unwrap();
    bus.publish(&you).await.unwrap();
    operator.sees(|card| card.is_open()).await;
    assert_eq!(asker.standing(&you.proposal).await, Standing::Unknown);
    assert_eq!(asker.withdraws(&you.proposal).await, Standing::Unknown);
    let card = operator.bus.bucket(&bus::layout::PROPOSED).get(you.proposal.as_str()).await.unwrap().unwrap();
    assert!(card.value.is_open());
    supervisor.stop().await;
}

#[tokio::test]
async fn what_no_bottle_may_ask_for_is_refused_with_the_reason() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let mut asker = Asker::of(&world).await;
    let good = serde_json::to_value(Proposed::new(
        support::bottle(),
        egress("b.example", &[]),
        1,
        base::clock::Clock::System.now(),
    ))
    .unwrap();
    for (key, value, expected) in [
        ("auth", serde_json::json!({ "scheme": "Bearer", "token_ref": "API" }), "unknown field `auth`"),
        ("dlp", serde_json::json!({ "outbound_detectors": false }), "unknown field `dlp`"),
        ("paths", serde_json::json!([{ "type": "regex", "value": "(" }]), "its hash is not its content's"),
    ] {
        let mut bad = good.clone();
        bad["proposal"] = base::id::ProposalId::random().as_str().into();
        bad["content"][key] = value;
        asker.sidecar.bus.publish(&Forged(bad)).await.unwrap();
        let end = asker.hears().await;
        assert_eq!(end.outcome, Outcome::Refused);
        assert!(end.reason.as_ref().unwrap().contains(expected), "{end:?}");
    }
    let mut other = good;
    other["bottle"] = "you-00000".into();
    asker.sidecar.bus.publish(&Forged(other)).await.unwrap();
    let end = asker.hears().await;
    assert!(end.reason.as_ref().unwrap().contains("belongs on proposal.new.you-00000"), "{end:?}");
    supervisor.stop().await;
}

#[tokio::test]
async fn what_is_granted_once_ends_with_the_request_that_used_it() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &["GET"]), "one look").await;
    let card = operator.sees(|card| card.is_open()).await;
    let (reply, _) = tokio::join!(operator.answers(&card, 1, ONCE), asker.sidecar.runs());
    assert_eq!(resolved(reply).scope, Some(Scope::Once));
    // These two are nothing to it.
    asker.logs(2, "a.example", "GET").await;
    asker.logs(1, "b.example", "GET").await;
    asker.logs(2, "b.example", "GET").await;
    let back = asker.sidecar.runs_at_least(3).await;
    assert_eq!(support::hosts(&back), ["a.example"]);
    operator.sees(|card| matches!(card.state, ProposalState::Resolved { lease: None, .. })).await;
    assert_eq!(world.stored().await, (3, vec!["a.example".to_owned()]));
    supervisor.stop().await;
}

fn is_without_lease(card: &ProposalRecord) -> bool {
    matches!(card.state, ProposalState::Resolved { lease: None, .. })
}

/// Grants less than was asked for: what was granted before, once more.
async fn grants_the_same(operator: &mut Answerer, asker: &Asker, base: u64, scope: Scope) -> Resolved {
    asker.asks(egress("b.example", &["GET", "PUT"]), "another look").await;
    let card = operator.sees(|card| card.is_open()).await;
    let delta = serde_json::json!({ "host": "b.example", "methods": ["GET"] });
    let edited = json(serde_json::json!({ "as": "delta", "delta": delta }));
    resolved(operator.answers(&card, base, Verdict::Modify { scope, edited }).await)
}

#[tokio::test]
async fn what_is_granted_once_and_once_again_is_there_for_two_requests() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &["GET"]), "one look").await;
    let card = operator.sees(|card| card.is_open()).await;
    let (reply, _) = tokio::join!(operator.answers(&card, 1, ONCE), asker.sidecar.runs());
    resolved(reply);
    let second = grants_the_same(&mut operator, &asker, 2, Scope::Once).await;
    assert_eq!((second.outcome, second.revision), (Outcome::Modified, None));
    asker.logs(2, "b.example", "GET").await;
    operator.sees(|now| now.proposal == card.proposal && is_without_lease(now)).await;
    assert_eq!(world.stored().await, (2, vec!["a.example".to_owned(), "b.example".to_owned()]));
    asker.logs(2, "b.example", "GET").await;
    let back = asker.sidecar.runs_at_least(3).await;
    assert_eq!(support::hosts(&back), ["a.example"]);
    supervisor.stop().await;
}

#[tokio::test]
async fn what_is_granted_for_longer_does_not_end_with_what_was_granted_once() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    // More than is granted for longer afterwards.
    asker.asks(egress("b.example", &[]), "one look").await;
    let card = operator.sees(|card| card.is_open()).await;
    let (reply, _) = tokio::join!(operator.answers(&card, 1, ONCE), asker.sidecar.runs());
    resolved(reply);
    let longer = grants_the_same(&mut operator, &asker, 2, Scope::Bottle).await;
    assert_eq!((longer.outcome, longer.revision), (Outcome::Modified, None));
    asker.logs(2, "b.example", "POST").await;
    let back = asker.sidecar.runs_at_least(3).await;
    assert_eq!(support::hosts(&back), ["a.example", "b.example"]);
    assert_eq!(back.policy.routes[1].matches[0].methods, ["GET"]);
    operator.sees(|now| now.proposal == card.proposal && is_without_lease(now)).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn what_is_kept_is_written_beside_the_bottles_file() {
    let world = World::start().await;
    let own = world.home.path().join("bottles/dev.md");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "---\n---\n").unwrap();
    world.store(1, &["a.example"]).await;
    let record = BottleRecord { bottles: vec!["dev".parse().unwrap()], ..support::record("me-00000") };
    world.role(Role::Launcher).await.bucket(&BOTTLES).create("me-00000", &record).await.unwrap();
    let supervisor = world.supervise(support::SOON).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    asker.asks(egress("b.example", &["GET"]), "always").await;
    let card = operator.sees(|card| card.is_open()).await;
    let keep = Verdict::Approve { scope: Scope::Keep };
    let (reply, _) = tokio::join!(operator.answers(&card, 1, keep.clone()), asker.sidecar.runs());
    assert_eq!(resolved(reply).scope, Some(Scope::Keep));
    let home = manifest::Home::at(world.home.path().into());
    let kept = manifest::grants::load(&home, &"dev".parse().unwrap()).unwrap();
    assert_eq!(
        (kept.len(), kept[0].allow.host.as_str(), &kept[0].proposal),
        (1, "b.example", &card.proposal)
    );
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "---\n---\n");
    // Where it cannot be written, it holds for the bottle, and the operator reads why.
    std::fs::remove_file(&own).unwrap();
    asker.asks(egress("c.example", &["GET"]), "always").await;
    let card = operator.sees(|card| card.is_open()).await;
    let (reply, _) = tokio::join!(operator.answers(&card, 2, keep), asker.sidecar.runs_at_least(3));
    let end = resolved(reply);
    assert_eq!(end.scope, Some(Scope::Bottle));
    assert!(end.reason.as_ref().unwrap().contains("there is no bottle file"), "{end:?}");
    supervisor.stop().await;
}

/// While they come, the supervisor is stopped and another goes on.
#[tokio::test]
async fn ten_thousand_equal_ones_are_one_card_with_the_right_count() {
    const ALL: u64 = 10_000;
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let mut flood = JoinSet::new();
    for n in 0..100 {
        let bus = asker.sidecar.bus.clone();
        flood.spawn(async move {
            for _ in 0..ALL / 100 {
                let asked = Proposed::new(
                    support::bottle(),
                    egress("b.example", &[]),
                    n,
                    base::clock::Clock::System.now(),
                );
                bus.publish_within(&asked, support::SOON * 3).await.unwrap();
            }
        });
    }
    operator.sees(|card| card.count > ALL / 10).await;
    supervisor.stop().await;
    let supervisor = world.supervise(support::SOON).await;
    while let Some(done) = flood.join_next().await {
        done.unwrap();
    }
    let card = operator.sees(|card| card.count >= ALL).await;
    assert_eq!(card.count, ALL);
    let cards = operator.bus.bucket(&bus::layout::PROPOSED).keys().await.unwrap();
    assert_eq!(cards, [card.proposal.as_str()]);
    supervisor.stop().await;
}
