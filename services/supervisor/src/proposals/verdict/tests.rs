use super::*;
use crate::proposals::life::{self, Applied};
use bus::message::Version;
use bus::message::proposal::{Decision, OperatorKey, Outcome, Resolved, content_hash};
use jiff::ToSpan as _;
use policy::EgressDelta;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + seconds.seconds()
}

fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn record(content: Content) -> ProposalRecord {
    ProposalRecord {
        v: Version,
        bottle: "me-00000".parse().unwrap(),
        proposal: "p1".parse().unwrap(),
        hash: content_hash(&content),
        content,
        base: 1,
        before: None,
        justification: None,
        first: at(0),
        last: at(0),
        count: 1,
        sequence: 1,
        also: Vec::new(),
        asks_again: None,
        until: at(1000),
        decided: None,
        state: ProposalState::Pending { failed: None },
    }
}

fn egress() -> ProposalRecord {
    record(json(serde_json::json!({ "kind": "egress", "host": "b.example", "methods": ["GET", "POST"] })))
}

fn held() -> ProposalRecord {
    record(json(serde_json::json!({
        "kind": "token-match", "request": "x1", "method": "POST", "scheme": "https", "host": "b.example", "port": 443,
        "path": "/", "detector": "d", "surface": "body", "value": "00",
    })))
}

fn revision(number: u64, hosts: &[&str]) -> PolicyRevision {
    let routes: Vec<_> = hosts.iter().map(|host| serde_json::json!({ "host": host })).collect();
    let policy = json(serde_json::json!({ "routes": routes }));
    PolicyRevision { v: Version, bottle: "me-00000".parse().unwrap(), revision: number, policy }
}

fn signed(record: &ProposalRecord, verdict: Verdict, key: &OperatorKey) -> Decide {
    let (proposal, hash) = (record.proposal.clone(), record.hash.clone());
    let decision = Decision { proposal, hash, base: 1, verdict, reason: Some("fine".into()), at: at(100) };
    Decide::signed(decision, key)
}

struct World {
    key: OperatorKey,
    operators: BTreeSet<OperatorId>,
    current: PolicyRevision,
    file: Option<BottleName>,
}

impl World {
    fn new() -> Self {
        let key = OperatorKey::generate();
        let operators = BTreeSet::from([key.id()]);
        Self { key, operators, current: revision(1, &["a.example"]), file: Some("dev".parse().unwrap()) }
    }

    fn decide(&self, record: &ProposalRecord, asked: &Decide) -> Result<Next, DecideRefusal> {
        let shown = revision(0, &["a.example"]).policy;
        let facts = Facts {
            now: at(110),
            operators: &self.operators,
            current: Some(&self.current),
            shown: Some(&shown),
            file: self.file.as_ref(),
        };
        decide(record, asked, &facts)
    }

    fn refuses(&self, record: &ProposalRecord, verdict: Verdict) -> String {
        self.decide(record, &signed(record, verdict, &self.key)).unwrap_err().to_string()
    }
}

const ONCE: Verdict = Verdict::Approve { scope: Scope::Once };
const KEEP: Verdict = Verdict::Approve { scope: Scope::Keep };

fn modify(scope: Scope, edited: serde_json::Value) -> Verdict {
    Verdict::Modify { scope, edited: json(edited) }
}

#[test]
fn an_approval_plans_the_next_revision() {
    let world = World::new();
    let record = egress();
    let Ok(Next::Apply(next)) = world.decide(&record, &signed(&record, ONCE, &world.key)) else { panic!() };
    let ProposalState::Applying { plan: Some(plan), .. } = &next.state else { panic!("{next:?}") };
    let (policy, _) = planned(&record, &ONCE, &world.current.policy).unwrap().unwrap();
    assert_eq!((plan.revision, &plan.policy, plan.added), (2, &policy::content_hash(&policy), Added::Route));
    let narrower = modify(
        Scope::Bottle,
        serde_json::json!({ "as": "delta", "delta": { "host": "b.example", "methods": ["GET"] } }),
    );
    let (narrow, _) = planned(&record, &narrower, &world.current.policy).unwrap().unwrap();
    insta::assert_snapshot!(policy::difference(&policy, &narrow).join("\n"), @r"
    - https://b.example GET, POST to every path
    + https://b.example GET to every path
    ");
    let held = held();
    let Ok(Next::Apply(next)) = world.decide(&held, &signed(&held, ONCE, &world.key)) else { panic!() };
    assert!(matches!(next.state, ProposalState::Applying { plan: None, .. }));
}

#[test]
fn only_a_known_operator_s_own_and_new_word_counts() {
    let (world, record) = (World::new(), egress());
    let good = signed(&record, ONCE, &world.key);
    assert!(world.decide(&record, &good).is_ok());
    let foreign = signed(&record, ONCE, &OperatorKey::generate());
    assert_eq!(world.decide(&record, &foreign), Err(DecideRefusal::UnknownOperator));
    for edited in [
        Decide { reason: None, ..good.clone() },
        Decide { signature: String::new(), ..good.clone() },
        Decide { operator: world.key.id(), ..foreign },
    ] {
        assert_eq!(world.decide(&record, &edited), Err(DecideRefusal::BadSignature));
    }
    for seconds in [110 - 301, 110 + 301] {
        let mut decision = Decision {
            proposal: record.proposal.clone(),
            hash: record.hash.clone(),
            base: 1,
            verdict: ONCE,
            reason: None,
            at: at(seconds),
        };
        let refused = world.decide(&record, &Decide::signed(decision.clone(), &world.key));
        assert!(matches!(refused, Err(DecideRefusal::Untimely { .. })), "{refused:?}");
        decision.at = at(if seconds < 0 { 110 - 300 } else { 110 + 300 });
        assert!(world.decide(&record, &Decide::signed(decision, &world.key)).is_ok());
    }
    // It was tried, and the sidecar refused it: the same word does not count again.
    let Ok(Next::Apply(applying)) = world.decide(&record, &good) else { panic!() };
    assert_eq!(world.decide(&applying, &good), Err(DecideRefusal::Replayed));
    let pending = life::failed(&applying, "no token for it").unwrap();
    assert_eq!(world.decide(&pending, &good), Err(DecideRefusal::Replayed));
}

#[test]
fn what_was_shown_is_what_is_approved() {
    let (mut world, record) = (World::new(), egress());
    let other = Decision {
        proposal: record.proposal.clone(),
        hash: "00".into(),
        base: 1,
        verdict: ONCE,
        reason: None,
        at: at(100),
    };
    let refused = world.decide(&record, &Decide::signed(other, &world.key));
    assert_eq!(refused, Err(DecideRefusal::WrongHash { hash: record.hash.clone() }));
    world.current = revision(3, &["a.example", "c.example"]);
    insta::assert_snapshot!(world.refuses(&record, ONCE), @"the bottle's policy is at revision 3 now; since the one you were shown: + https://c.example every request");
    // A no needs no base.
    let no = signed(&record, Verdict::Reject, &world.key);
    assert!(matches!(world.decide(&record, &no), Ok(Next::Over(_))));
}

#[test]
fn each_kind_has_its_answers() {
    let mut world = World::new();
    let route = serde_json::json!({ "as": "route", "route": { "host": "*.b.example" } });
    let record_of = |value| record(json(value));
    let capability = record_of(serde_json::json!({ "kind": "capability", "dockerfile": "FROM scratch" }));
    assert!(world.decide(&capability, &signed(&capability, ONCE, &world.key)).is_ok());
    let edit =
        |text: &str| modify(Scope::Once, serde_json::json!({ "as": "dockerfile", "dockerfile": text }));
    assert!(world.decide(&capability, &signed(&capability, edit("FROM a"), &world.key)).is_ok());
    insta::assert_snapshot!(world.refuses(&capability, KEEP), @"not with this scope: a resume goes on in the image that is built; for other bottles write it into the bottle's own Dockerfile");
    insta::assert_snapshot!(world.refuses(&capability, edit(" ")), @"the edit is refused: a Dockerfile has 1 to 65536 bytes");
    insta::assert_snapshot!(world.refuses(&capability, modify(Scope::Once, route.clone())), @"the edit is refused: a capability is edited as a Dockerfile");
    insta::assert_snapshot!(world.refuses(&egress(), edit("FROM a")), @"the edit is refused: an egress proposal is edited as a delta or a route");
    insta::assert_snapshot!(world.refuses(&held(), KEEP), @"not with this scope: only routes can be kept; approve it once, or until the bottle exits");
    insta::assert_snapshot!(world.refuses(&held(), modify(Scope::Once, route.clone())), @"the edit is refused: a token-match can be approved or rejected as it is");
    insta::assert_snapshot!(world.refuses(&egress(), modify(Scope::Keep, route.clone())), @"not with this scope: a whole route holds until the bottle exits; to keep it, write it into the bottle's file");
    let wrong = serde_json::json!({ "as": "delta", "delta": { "host": "b.example", "methods": ["get"] } });
    insta::assert_snapshot!(world.refuses(&egress(), modify(Scope::Once, wrong)), @"the edit is refused: methods[0]: methods are in upper case; write GET");
    let record = egress();
    assert!(world.decide(&record, &signed(&record, modify(Scope::Bottle, route), &world.key)).is_ok());
    assert!(world.decide(&record, &signed(&record, KEEP, &world.key)).is_ok());
    world.file = None;
    insta::assert_snapshot!(world.refuses(&egress(), KEEP), @"not with this scope: no bottle file is recorded for this bottle; grant it until the bottle exits");
    for reason in [None, Some(" ".to_owned())] {
        let held = held();
        let (proposal, hash) = (held.proposal.clone(), held.hash.clone());
        let decision = Decision { proposal, hash, base: 1, verdict: ONCE, reason, at: at(100) };
        let refused = world.decide(&held, &Decide::signed(decision, &world.key));
        assert_eq!(refused, Err(DecideRefusal::ReasonRequired));
    }
}

/// Anything that can happen to a proposal.
#[derive(Clone, Debug)]
enum Happens {
    Answer { verdict: usize, hash: bool, base: u64, at: i64, operator: usize, forged: bool },
    Applies,
    Fails,
    Lapses,
    BottleEnds,
    PolicyMoves,
    IsTold,
}

fn happens() -> impl Strategy<Value = Happens> {
    let answer =
        (0_usize..4, prop::bool::weighted(0.8), 1_u64..4, 90_i64..120, 0_usize..3, prop::bool::weighted(0.1));
    prop_oneof![
        6 => answer.prop_map(|(verdict, hash, base, at, operator, forged)| Happens::Answer { verdict, hash, base, at, operator, forged }),
        2 => Just(Happens::Applies),
        2 => Just(Happens::Fails),
        1 => Just(Happens::Lapses),
        1 => Just(Happens::BottleEnds),
        1 => Just(Happens::PolicyMoves),
        1 => Just(Happens::IsTold),
    ]
}

fn verdict(number: usize) -> Verdict {
    let delta: EgressDelta = json(serde_json::json!({ "host": "b.example", "methods": ["GET"] }));
    match number {
        0 => ONCE,
        1 => KEEP,
        2 => Verdict::Modify { scope: Scope::Bottle, edited: Edited::Delta { delta } },
        _ => Verdict::Reject,
    }
}

fn end(record: &ProposalRecord) -> Option<&Resolved> {
    match &record.state {
        ProposalState::Resolved { resolved, .. } => Some(resolved),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_sequence_of_events_approves_twice_or_on_another_base_or_reopens_what_is_over(events in prop::collection::vec(happens(), 1..40)) {
        let mut world = World::new();
        let keys = [&OperatorKey::generate(), &OperatorKey::generate(), &OperatorKey::generate()];
        world.operators = keys[..2].iter().map(|key| key.id()).collect();
        let (mut record, mut approvals, mut used) = (egress(), 0, Vec::new());
        for event in events {
            let before = record.clone();
            let next = match &event {
                Happens::Answer { verdict: number, hash, base, at: seconds, operator, forged } => {
                    let hash = if *hash { record.hash.clone() } else { "00".into() };
                    let decision = Decision { proposal: record.proposal.clone(), hash, base: *base, verdict: verdict(*number), reason: None, at: at(*seconds) };
                    let mut asked = Decide::signed(decision, keys[*operator]);
                    if *forged {
                        asked.reason = Some("and more".into());
                    }
                    let decided = world.decide(&record, &asked);
                    if decided.is_ok() {
                        // Shown, signed and for the first time.
                        prop_assert!(asked.verify().is_ok() && *operator < 2 && asked.hash == record.hash);
                        prop_assert!(!used.contains(&asked.at));
                        prop_assert!(matches!(before.state, ProposalState::Pending { .. }), "it did not wait");
                        used.push(asked.at);
                    }
                    if let Ok(Next::Apply(next)) = &decided {
                        prop_assert_eq!(*base, world.current.revision);
                        let ProposalState::Applying { plan: Some(plan), .. } = &next.state else { panic!() };
                        prop_assert_eq!(plan.revision, world.current.revision + 1);
                    }
                    decided.ok().map(|next| match next { Next::Over(record) | Next::Apply(record) => record })
                }
                Happens::Applies => {
                    let scope = Scope::Bottle;
                    let next = life::applied(&record, Applied { revision: Some(2), scope, image: None, note: None, lease: None }, at(110));
                    approvals += usize::from(next.is_some());
                    next
                }
                Happens::Fails => life::failed(&record, "no"),
                Happens::Lapses => life::lapsed(&record, Outcome::Expired, None, at(110)),
                Happens::BottleEnds => life::orphaned(&record, at(110)),
                Happens::PolicyMoves => {
                    world.current = revision(world.current.revision % 3 + 1, &["a.example"]);
                    None
                }
                Happens::IsTold => life::told(&record),
            };
            record = next.unwrap_or(record);
            if let Some(resolved) = end(&before) {
                prop_assert_eq!(end(&record), Some(resolved), "{:?}", event);
            }
            prop_assert!(approvals <= 1);
            let granted = end(&record).is_some_and(|resolved| resolved.outcome.is_granted());
            prop_assert_eq!(granted, approvals == 1);
        }
    }
}
