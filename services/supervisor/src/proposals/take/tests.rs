use super::*;
use bus::message::proposal::{Content, Resolved};
use jiff::ToSpan as _;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + seconds.seconds()
}

fn egress(host: &str) -> Content {
    serde_json::from_value(serde_json::json!({ "kind": "egress", "host": host })).unwrap()
}

fn asked(content: Content, justification: Option<&str>) -> Proposed {
    let justification = justification.map(str::to_owned);
    Proposed { justification, ..Proposed::new("me-00000".parse().unwrap(), content, 1, at(0)) }
}

/// A book of one bottle, and its next message.
#[derive(Default)]
struct World {
    records: Vec<ProposalRecord>,
    sequence: u64,
}

impl World {
    fn ask(&mut self, asked: &Proposed, seconds: i64) -> Taken {
        self.sequence += 1;
        let stored = Stored { sequence: self.sequence, at: at(seconds) };
        let known: Vec<_> = self.records.iter().collect();
        let taken = take(&known, asked, stored, &Limits::default(), at(seconds));
        if let Taken::Waits(record) = &taken {
            self.records.retain(|old| old.proposal != record.proposal);
            self.records.push((**record).clone());
        }
        taken
    }

    fn end(&mut self, outcome: Outcome) {
        let record = self.records.last_mut().unwrap();
        let reason = Some("too much".to_owned());
        let resolved = Resolved {
            v: Version,
            bottle: record.bottle.clone(),
            proposal: record.proposal.clone(),
            outcome,
            scope: None,
            revision: None,
            image: None,
            reason,
            at: at(0),
            decision: None,
        };
        record.state = ProposalState::Resolved { resolved: Box::new(resolved), told: true, lease: None };
    }
}

fn refusal(taken: Taken) -> String {
    let Taken::Refused(reason) = taken else { panic!("{taken:?}") };
    reason
}

#[test]
fn ten_thousand_equal_ones_are_one() {
    let (mut world, content) = (World::default(), egress("a.example"));
    let mut last = None;
    for n in 0..10_000 {
        let asked = asked(content.clone(), Some(&format!("for {n}")));
        assert!(matches!(world.ask(&asked, n / 1000), Taken::Waits(_)), "{n}");
        last = Some(asked);
    }
    let [record] = &world.records[..] else { panic!() };
    assert_eq!((record.count, record.sequence, record.also.len()), (10_000, 10_000, MOST_ALSO));
    assert_eq!(record.justification.as_deref(), Some("for 9999"));
    assert!(record.answers_to(&last.unwrap().proposal));
    // The stream is read again from further back.
    let known: Vec<_> = world.records.iter().collect();
    let again = Stored { sequence: 9_900, at: at(9) };
    let seen = take(&known, &asked(content, None), again, &Limits::default(), at(9));
    assert_eq!(seen, Taken::Seen);
}

#[test]
fn a_bottle_asks_only_so_much() {
    let mut world = World::default();
    for n in 0..20 {
        assert!(matches!(world.ask(&asked(egress(&format!("a{n}.example")), None), 0), Taken::Waits(_)));
    }
    insta::assert_snapshot!(refusal(world.ask(&asked(egress("b.example"), None), 59)), @"20 proposals within a minute are the most; wait, and ask for one thing that covers them");
    for n in 20..32 {
        assert!(matches!(world.ask(&asked(egress(&format!("a{n}.example")), None), 60), Taken::Waits(_)));
    }
    insta::assert_snapshot!(refusal(world.ask(&asked(egress("b.example"), None), 200)), @"32 of this bottle's proposals wait already, and 32 may; withdraw one, or wait");
    // What is equal to one of them is counted all the same.
    assert!(
        matches!(world.ask(&asked(egress("a0.example"), None), 200), Taken::Waits(record) if record.count == 2)
    );
}

#[test]
fn what_was_rejected_is_asked_again_in_other_words_only() {
    let mut world = World::default();
    let ask = |world: &mut World, words| world.ask(&asked(egress("a.example"), words), 0);
    ask(&mut world, Some("docs"));
    let first = world.records[0].proposal.clone();
    world.end(Outcome::Rejected);
    for words in [Some("docs"), None] {
        let refused = refusal(ask(&mut world, words)).replace(first.as_str(), "P");
        assert_eq!(refused, "P was rejected: too much; ask again only with another justification");
    }
    let Taken::Waits(record) = ask(&mut world, Some("the docs of the client")) else { panic!() };
    assert_eq!(record.asks_again, Some(first));
    for outcome in [Outcome::Expired, Outcome::Withdrawn, Outcome::Approved] {
        world.end(outcome);
        assert!(
            matches!(ask(&mut world, Some("the docs of the client")), Taken::Waits(record) if record.asks_again.is_none())
        );
    }
}

#[test]
fn what_is_wrong_with_it_is_said() {
    let mut world = World::default();
    let mut reason = |proposed: &Proposed| refusal(world.ask(proposed, 0));
    let delta = |json| serde_json::from_value::<Content>(json).unwrap();
    let pattern = delta(
        serde_json::json!({ "kind": "egress", "host": "a.example", "paths": [{ "type": "regex", "value": "(" }] }),
    );
    insta::assert_snapshot!(reason(&asked(pattern, None)), @"paths[0].value: this is no usable regular expression: unclosed group");
    insta::assert_snapshot!(reason(&asked(egress("*.example"), None)), @"host: name one host; only an operator's own route covers many");
    let forged = Proposed { hash: "00".into(), ..asked(egress("a.example"), None) };
    insta::assert_snapshot!(reason(&forged), @"its hash is not its content's");
    let large = delta(serde_json::json!({ "kind": "capability", "dockerfile": "x".repeat(70_000) }));
    insta::assert_snapshot!(reason(&asked(large, None)), @"it is larger than 64 KiB");
    let late = Proposed { wait_seconds: Some(0), ..asked(egress("a.example"), None) };
    insta::assert_snapshot!(reason(&late), @"it was read only after its time was over; ask again");
}

#[test]
fn a_long_justification_is_cut_between_characters() {
    let mut world = World::default();
    let Taken::Waits(record) = world.ask(&asked(egress("a.example"), Some(&"é\u{202e}\n".repeat(20_000))), 0)
    else {
        panic!()
    };
    let kept = record.justification.unwrap();
    assert!(kept.len() <= LONGEST_JUSTIFICATION && kept.len() > LONGEST_JUSTIFICATION - 10, "{}", kept.len());
    assert!(kept.ends_with(" [cut]"));
}

#[test]
fn each_kind_waits_as_long_as_it_is_of_use() {
    let allow = serde_json::json!({ "kind": "gitleaks-allow", "repo": "r", "objects": ["01"], "findings": [{ "rule": "g", "commit": "01", "place": "a", "line": 1 }] });
    for (content, seconds, expected) in [
        (egress("a.example"), None, 86_400),
        (egress("b.example"), Some(60), 60),
        (egress("c.example"), Some(u64::MAX), 86_400),
        (serde_json::from_value(allow).unwrap(), None, 300),
    ] {
        let proposed = Proposed { wait_seconds: seconds, ..asked(content, None) };
        let Taken::Waits(record) = World::default().ask(&proposed, 10) else { panic!() };
        assert_eq!(record.until, at(10 + expected));
    }
}
