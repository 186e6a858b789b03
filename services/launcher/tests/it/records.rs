//! Records that an earlier launcher put aside (E7, G10).

use bus::Since;
use bus::layout::{BOTTLES, EVENTS};
use bus::message::Version;
use bus::message::egress::{self, Log};
use bus::message::event::Event;
use bus::message::push::{self, Accepted, Rejected};

use crate::support::LIMIT;
use crate::support::world::World;

fn accepted(bottle: &str, repo: &str, second: i64) -> push::Parcel {
    push::Parcel::Accepted(Accepted {
        v: Version,
        bottle: bottle.parse().unwrap(),
        repo: repo.to_owned(),
        at: jiff::Timestamp::from_second(second).unwrap(),
        refs: Vec::new(),
        objects: 1,
    })
}

fn log(bottle: &str, batch: u64) -> egress::Parcel {
    egress::Parcel::Log(Log { v: Version, bottle: bottle.parse().unwrap(), batch, lines: Vec::new() })
}

#[tokio::test]
async fn what_was_put_aside_comes_to_the_bus_and_what_is_missing_is_told() {
    let world = World::new().await;
    let launcher = world.launcher().await;
    world.agent(&["false"], "");
    let bottle = world.run("r1").await.bottle;
    launcher.stop().await;

    let place = world.home.path().join("records").join(bottle.as_str());
    std::fs::create_dir_all(place.join("egress")).unwrap();
    std::fs::create_dir_all(place.join("gitgate")).unwrap();
    // Whoever took a sidecar over speaks for its bottle, and for no other.
    let lines = [log(bottle.as_str(), 7), log("other-00000", 8), log(bottle.as_str(), 9)];
    let lines = lines.map(|line| serde_json::to_string(&line).unwrap() + "\n");
    std::fs::write(place.join("egress/records"), lines.concat()).unwrap();
    let rejected = push::Parcel::Rejected(Rejected {
        v: Version,
        bottle: bottle.clone(),
        repo: "tools".to_owned(),
        at: jiff::Timestamp::from_second(3).unwrap(),
        refs: Vec::new(),
        objects: None,
        reason: "without a bus".to_owned(),
        findings: Vec::new(),
    });
    for (name, parcel) in [
        ("1.record", accepted(bottle.as_str(), "tools", 1)),
        ("2.record", accepted("other-00000", "tools", 2)),
        ("3.record", rejected),
        ("4.intent", accepted(bottle.as_str(), "docs", 4)),
    ] {
        std::fs::write(place.join("gitgate").join(name), serde_json::to_vec(&parcel).unwrap()).unwrap();
    }

    let mut events = world.operator.follow::<Event>(EVENTS, ">", Since::Now).await.unwrap();
    let launcher = world.launcher().await;
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let event = tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap();
        heard.push(match event.message.unwrap() {
            Event::Allowed(log) => format!("batch {}", log.batch),
            Event::PushAccepted(accepted) => format!("accepted {}", accepted.repo),
            Event::PushRejected(rejected) => format!("rejected {}", rejected.reason),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(heard, ["batch 7", "batch 9", "accepted tools", "rejected without a bus"]);
    let emptied = async {
        while place.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, emptied).await.unwrap();
    let record = world.operator.bucket(&BOTTLES).get(bottle.as_str()).await.unwrap().unwrap().value;
    let note = record.note.unwrap_or_default();
    assert!(
        note.contains("2 of its records cannot be read; a push to docs may have gone upstream"),
        "{note}"
    );
    assert_eq!(events.stored().await.unwrap(), None);
    launcher.stop().await;
    world.end().await;
}
