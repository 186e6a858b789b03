//! What must be true of the bus and of the machine when a story is over, whoever was killed.

use std::collections::BTreeMap;
use std::time::Duration;

use base::id::Slug;
use bus::layout::{EVENTS, LAUNCHERS, POLICY, PROPOSALS, PROPOSED, REQUESTS};
use bus::message::event::Event;
use bus::message::proposal::Resolved;
use bus::message::record::ClaimState;
use bus::{Bus, Since};
use harness::{Home, mentioning, soon};
use serde_json::Value;

use super::tale::End;

const PAUSE: Duration = Duration::from_millis(50);

/// Waits until every event and every end of a proposal is a record, and demands that each is exactly one, that the trail
/// is whole, and that every decision that the person was told of is in it. Returns the records.
pub(super) async fn complete(home: &Home, bus: &Bus, end: &End) -> Vec<Value> {
    let records = soon("a record of every event", async {
        loop {
            let happened = happened(bus).await;
            let records = exported(home).await;
            let recorded = sources(&records);
            if happened.iter().all(|event| recorded.contains_key(event)) {
                return records;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    for (source, times) in sources(&records) {
        assert_eq!(times, 1, "{source:?} was recorded {times} times");
    }
    for proposal in &end.person.told {
        let is_it = |record: &&Value| record["decision"]["proposal"] == proposal.as_str();
        let of = decisions(&records, "resolved").filter(is_it).collect::<Vec<_>>();
        let [record] = of.as_slice() else { panic!("{proposal}: {of:?}") };
        assert_eq!(record["decision"]["outcome"], "modified", "{record}");
        assert!(record["decision"]["answer"].is_object(), "{record}");
    }
    home.run(&["audit", "verify"]).await.expect_code(0);
    records
}

async fn happened(bus: &Bus) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut events = bus.follow::<Event>(EVENTS, ">", Since::All).await.unwrap();
    while let Some(record) = events.stored().await.unwrap() {
        all.push((EVENTS.to_owned(), record.sequence));
    }
    let mut ends = bus.follow::<Resolved>(PROPOSALS, "proposal.resolved.*", Since::All).await.unwrap();
    while let Some(record) = ends.stored().await.unwrap() {
        all.push((PROPOSALS.to_owned(), record.sequence));
    }
    all
}

async fn exported(home: &Home) -> Vec<Value> {
    let file = home.path().join("trail.jsonl");
    let _ = std::fs::remove_file(&file);
    home.run(&["audit", "export", "--output", file.to_str().unwrap()]).await.expect_code(0);
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sources(records: &[Value]) -> BTreeMap<(String, u64), usize> {
    let mut times = BTreeMap::new();
    for source in records.iter().filter_map(|record| record.get("source")) {
        let event = (source["stream"].as_str().unwrap().to_owned(), source["sequence"].as_u64().unwrap());
        *times.entry(event).or_default() += 1;
    }
    times
}

pub(super) fn decisions<'a>(records: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    records.iter().filter(move |record| record["decision"]["is"] == kind)
}

/// How many requests of a bottle were allowed, and how many refused, by the trail.
pub(super) fn requests(records: &[Value], bottle: &Slug) -> (usize, usize) {
    let of = |record: &&Value| record["bottle"] == bottle.as_str();
    let lines = |record: &Value| record["decision"]["lines"].as_array().unwrap().len();
    let allowed = decisions(records, "allowed").filter(of).map(lines).sum();
    (allowed, decisions(records, "blocked").filter(of).count())
}

/// Waits until nothing of the story is left to do: its request is done with, no proposal waits, no policy is kept.
pub(super) async fn settled(operator: &Bus, admin: &Bus, end: &End) {
    soon("the end of everything", async {
        loop {
            let claim = operator.bucket(&REQUESTS).get(end.request.as_str()).await.unwrap();
            let is_done = claim.is_some_and(|claim| claim.value.state == ClaimState::Done);
            let mut open = 0;
            for key in operator.bucket(&PROPOSED).keys().await.unwrap() {
                let card = operator.bucket(&PROPOSED).get(&key).await.unwrap();
                open += usize::from(card.is_some_and(|card| card.value.is_open()));
            }
            let policies = operator.bucket(&POLICY).keys().await.unwrap();
            let unfinished = admin.unfinished(&LAUNCHERS).await.unwrap();
            if is_done && open == 0 && policies.is_empty() && unfinished == 0 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

/// Demands that no process and no state of the home is left.
pub(super) fn nothing_is_left(home: &Home, log: &str) {
    let state = home.path().join("state");
    let left: Vec<_> = state.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}\n{log}");
    let processes = mentioning(home.path().to_str().unwrap());
    assert!(processes.is_empty(), "{processes:?} are left");
}
