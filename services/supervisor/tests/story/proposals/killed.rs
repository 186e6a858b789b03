//! Supervisors that were killed while an approval was on its way.

use super::*;
use bus::layout::PROPOSED;
use bus::message::proposal::Plan;
use std::time::Duration;

/// An approval that a supervisor has stored before it was killed.
async fn approved(world: &World, asker: &Asker, operator: &mut Answerer) -> ProposalRecord {
    let supervisor = world.supervise(support::SOON).await;
    asker.asks(egress("b.example", &["GET"]), "please").await;
    let card = operator.sees(|card| card.is_open()).await;
    supervisor.stop().await;
    let granted = policy::grant(
        &json(serde_json::json!({ "routes": [{ "host": "a.example" }] })),
        &json(serde_json::json!({ "host": "b.example", "methods": ["GET"] })),
    )
    .unwrap();
    let plan = Plan { revision: 2, policy: policy::content_hash(&granted.policy), added: granted.added };
    let decision = Box::new(operator.signs(&card, 1, BOTTLE));
    let card = ProposalRecord { state: ProposalState::Applying { decision, plan: Some(plan) }, ..card };
    put(world, &card).await;
    card
}

async fn put(world: &World, card: &ProposalRecord) {
    world.role(Role::Supervisor).await.bucket(&PROPOSED).put(card.proposal.as_str(), card).await.unwrap();
}

async fn ends_approved(world: &World, asker: &mut Asker, revision: u64) {
    let supervisor = world.supervise(support::SOON).await;
    asker.sidecar.runs_at_least(revision).await;
    let end = asker.hears().await;
    assert_eq!((end.outcome, end.revision), (Outcome::Approved, Some(revision)));
    assert_eq!(world.stored().await, (2, vec!["a.example".to_owned(), "b.example".to_owned()]));
    supervisor.stop().await;
}

#[tokio::test]
async fn before_the_policy_was_stored() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    approved(&world, &asker, &mut operator).await;
    ends_approved(&world, &mut asker, 2).await;
}

/// Also: after it was pushed, and after the sidecar confirmed it and nobody heard.
#[tokio::test]
async fn before_the_policy_was_confirmed() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let supervisor = world.supervise(Duration::from_millis(200)).await;
    asker.asks(egress("b.example", &["GET"]), "please").await;
    let card = operator.sees(|card| card.is_open()).await;
    let reply = operator.answers(&card, 1, BOTTLE).await;
    assert_eq!(reply, DecideReply::Unconfirmed { revision: 2 });
    supervisor.stop().await;
    ends_approved(&world, &mut asker, 2).await;
}

#[tokio::test]
async fn before_its_end_was_told() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let card = approved(&world, &asker, &mut operator).await;
    let resolved = Box::new(json(serde_json::json!({
        "v": 1, "bottle": "me-00000", "proposal": card.proposal, "outcome": "rejected", "at": "2026-01-01T00:00:00Z",
    })));
    put(
        &world,
        &ProposalRecord { state: ProposalState::Resolved { resolved, told: false, lease: None }, ..card },
    )
    .await;
    let supervisor = world.supervise(support::SOON).await;
    assert_eq!(asker.hears().await.outcome, Outcome::Rejected);
    operator.sees(|card| matches!(card.state, ProposalState::Resolved { told: true, .. })).await;
    supervisor.stop().await;
}

/// Somebody else's change came between: what was approved was not shown against that.
#[tokio::test]
async fn before_the_policy_was_stored_while_another_changed_it() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    approved(&world, &asker, &mut operator).await;
    world.store(2, &["c.example"]).await;
    let supervisor = world.supervise(support::SOON).await;
    let card = operator.sees(|card| matches!(&card.state, ProposalState::Pending { failed: Some(_) })).await;
    let ProposalState::Pending { failed: Some(why) } = card.state else { panic!() };
    assert_eq!(why, "the bottle's policy has changed meanwhile; it is at revision 2");
    assert_eq!(world.stored().await, (2, vec!["c.example".to_owned()]));
    supervisor.stop().await;
}

/// Whoever goes on makes the very policy that was approved, or none.
#[tokio::test]
async fn before_a_policy_that_nobody_can_make_again() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let mut card = approved(&world, &asker, &mut operator).await;
    if let ProposalState::Applying { plan: Some(plan), .. } = &mut card.state {
        plan.policy = "00".to_owned();
    }
    put(&world, &card).await;
    let supervisor = world.supervise(support::SOON).await;
    operator.sees(|card| matches!(&card.state, ProposalState::Pending { failed: Some(_) })).await;
    assert_eq!(world.stored().await, (1, vec!["a.example".to_owned()]));
    supervisor.stop().await;
}
