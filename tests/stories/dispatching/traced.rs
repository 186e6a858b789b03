//! From a forge's delivery to what the bottle did is one trace, in the logs, on the bus and for a collector (E17).

use bus::message::event::Event;
use bus::message::proposal::Proposed;
use bus::{Bus, Since, layout};
use harness::{Home, soon};
use telemetry::collector::{Collector, Sent};

use super::are_done;
use super::within::{Within, until};

/// Asks for a host that it may not ask, tells a person so, and waits for nobody.
const AGENT: &str = include_str!("asks.py");

#[tokio::test]
async fn from_the_delivery_to_the_refused_request_is_one_trace() {
    let mut collector = Collector::start().await;
    let home = Home::empty();
    home.write("tracer", &["/usr/bin/python3", "-c", AGENT], &policy::EgressPolicy::default());
    let story = Within::up(home, "tracer", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]).await;
    story.send("opened", 0).await;
    story.forge.until("an answer", |memory| are_done(memory, 1)).await;

    // In the conversation's record, by the step that took the delivery off the queue.
    let operator = story.operator().await;
    let noted = until(&operator, "a verdict", |session| !session.noted.is_empty()).await.noted;
    let trace = noted[0].trace.expect("a trace").id();
    let listed = story.world.run(&["dispatch", "list", "--json"]).await.expect_code(0).json();
    assert!(listed[0]["noted"][0]["trace"].as_str().unwrap().contains(&trace), "{listed}");

    // In the log, from the delivery's arrival on.
    for words in ["a delivery is stored", "a delivery is decided on", "a run is asked for"] {
        let log = story.world.log();
        let line = log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {log}"));
        assert!(line.contains(&trace), "{line}");
    }

    // On the bus: the launcher knows it from the start request alone, and the sidecars from the launcher.
    let mut found = on_the_bus(&operator, &trace).await;
    // The start and what the program then did are told by two processes, each in its time.
    found.sort_unstable();
    assert_eq!(found, ["blocked", "exited", "proposed", "proposed", "started"]);

    // As spans, of which each belongs to the one before.
    let spans = spans(&mut collector, &["webhook", "dispatch", "bottle.start", "egress.request"]).await;
    assert!(spans.iter().all(|sent| sent.text("traceId") == trace), "{spans:?}");
    let [webhook, dispatch, start, request] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((webhook.text("parentSpanId"), webhook.service.as_str()), ("", "bot-bottle-dispatcher"));
    for (parent, child) in [(webhook, dispatch), (dispatch, start), (start, request)] {
        assert_eq!(child.text("parentSpanId"), parent.text("spanId"), "{child:?}");
    }
    assert_eq!(dispatch.attribute("bot_bottle.outcome"), "Runs");
    story.down().await;
}

/// What of a run is in this trace; of events, each kind once.
async fn on_the_bus(bus: &Bus, trace: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut events = bus.follow::<Event>(layout::EVENTS, ">", Since::All).await.unwrap();
    while let Some(record) = events.stored().await.unwrap() {
        let name = match record.message.unwrap() {
            Event::Started(_) => "started",
            Event::Blocked(_) => "blocked",
            Event::Exited(_) => "exited",
            _ => continue,
        };
        if record.trace.id() == trace && !found.contains(&name) {
            found.push(name);
        }
    }
    let mut asked = bus.follow::<Proposed>(layout::PROPOSALS, "proposal.new.*", Since::All).await.unwrap();
    while let Some(record) = asked.stored().await.unwrap() {
        if record.trace.id() == trace {
            found.push("proposed");
        }
    }
    found
}

/// The first span of each name.
async fn spans(collector: &mut Collector, names: &[&str]) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    let find = |sent: &[Sent], name: &str| sent.iter().find(|sent| sent.text("name") == name).cloned();
    soon("spans", async {
        while names.iter().any(|name| find(&sent, name).is_none()) {
            sent.push(collector.next().await);
        }
    })
    .await;
    names.iter().filter_map(|name| find(&sent, name)).collect()
}
