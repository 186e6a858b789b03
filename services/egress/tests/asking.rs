//! A person is asked, and the bus goes away before the answer.

use bus::layout::PROPOSALS;
use bus::message::Version;
use bus::message::proposal::{Outcome, ProposalGet, Proposed, Resolved, Scope, Standing};
use bus::message::revision::{PolicyGet, PolicyGetReply};
use bus::role::Role;
use bus::{Delivery, Since, Subscription};
use handover::sidecar::EgressLimits;
use http::Request;
use serde_json::json;

use crate::agent::{Http1, bytes, limited};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::route;
use crate::records::{BOTTLE, World};
use crate::scanning::leaked;

#[tokio::test]
async fn an_answer_that_was_missed_is_asked_for() {
    let (mut world, origin) = (World::new().await, Origin::start(Speaks::Tls).await);
    let supervisor = world.role(Role::Supervisor).await;
    let mut policies = supervisor.subscribe::<PolicyGet>("policy.get.*").await.unwrap();
    let mut gets = supervisor.subscribe::<ProposalGet>("proposal.get.*").await.unwrap();
    let spool = tempfile::tempdir().unwrap();
    let supervised = route(&origin, json!({ "dlp": { "outbound_on_match": "supervise" } }));
    let mut proxy = world.proxy(&origin, &[supervised], spool.path(), EgressLimits::default()).await;
    limited(policies.next()).await.unwrap().answer(&PolicyGetReply::Unknown).await.unwrap();
    proxy.is_connected().await;
    let subject = format!("proposal.new.{BOTTLE}");
    let mut questions = supervisor.follow::<Proposed>(PROPOSALS, &subject, Since::Sequence(0)).await.unwrap();
    let mut agent = Http1::new(&proxy.via).await;
    let post = Request::post("/v1").header("host", HOST).body(bytes(leaked())).unwrap();
    let answered = async {
        let question = limited(questions.next()).await.unwrap().message.unwrap();
        world.go_away().await;
        world.come_back().await;
        approve(question, &mut gets, &mut policies).await;
    };
    let response = tokio::select! {
        response = agent.send(post) => response,
        () = answered => unreachable!("it answers for as long as it is asked"),
    };
    assert_eq!(response.status(), 200);
}

/// A bottle's first request may come before its proxy has reached the bus.
#[tokio::test]
async fn the_first_request_waits_for_the_bus() {
    let (mut world, origin) = (World::new().await, Origin::start(Speaks::Tls).await);
    let supervisor = world.role(Role::Supervisor).await;
    let mut policies = supervisor.subscribe::<PolicyGet>("policy.get.*").await.unwrap();
    let mut gets = supervisor.subscribe::<ProposalGet>("proposal.get.*").await.unwrap();
    let subject = format!("proposal.new.{BOTTLE}");
    let mut questions = supervisor.follow::<Proposed>(PROPOSALS, &subject, Since::Sequence(0)).await.unwrap();
    world.go_away().await;
    let spool = tempfile::tempdir().unwrap();
    let supervised = route(&origin, json!({ "dlp": { "outbound_on_match": "supervise" } }));
    let proxy = world.proxy(&origin, &[supervised], spool.path(), EgressLimits::default()).await;
    let mut agent = Http1::new(&proxy.via).await;
    let post = Request::post("/v1").header("host", HOST).body(bytes(leaked())).unwrap();
    let answered = async {
        world.come_back().await;
        let question = limited(questions.next()).await.unwrap().message.unwrap();
        approve(question, &mut gets, &mut policies).await;
    };
    let response = tokio::select! {
        response = agent.send(post) => response,
        () = answered => unreachable!("it answers for as long as it is asked"),
    };
    assert_eq!(response.status(), 200);
}

/// Says of a question, for as long as it is asked about, that it was approved.
async fn approve(
    question: Proposed,
    gets: &mut Subscription<ProposalGet>,
    policies: &mut Subscription<PolicyGet>,
) {
    let resolved = Resolved {
        image: None,
        v: Version,
        bottle: question.bottle,
        proposal: question.proposal.clone(),
        outcome: Outcome::Approved,
        scope: Some(Scope::Once),
        revision: None,
        reason: None,
        at: question.at,
        decision: None,
    };
    loop {
        let get = limited(next_get(gets, policies)).await;
        assert_eq!(get.message.as_ref().unwrap().proposal, question.proposal);
        get.answer(&Standing::Resolved { resolved: Box::new(resolved.clone()) }).await.unwrap();
    }
}

/// The next question about a proposal. Whoever asks it asks for the policy before, and again where an answer came too late.
async fn next_get(
    gets: &mut Subscription<ProposalGet>,
    policies: &mut Subscription<PolicyGet>,
) -> Delivery<ProposalGet> {
    loop {
        tokio::select! {
            get = gets.next() => return get.unwrap(),
            policy = policies.next() => policy.unwrap().answer(&PolicyGetReply::Unknown).await.unwrap(),
        }
    }
}
