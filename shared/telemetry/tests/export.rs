//! Spans on their way to a collector that listens, refuses or is not there.

use std::time::Duration;

use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle};
use bus::Trace;
use telemetry::collector::Collector;
use telemetry::{Endpoint, Kind, Tracer};

const LIMIT: Duration = Duration::from_secs(60);

fn tracer(endpoint: Endpoint) -> (Tracer, Lifecycle) {
    let life = Lifecycle::new();
    (Tracer::start(Some(endpoint), "test", Clock::System, &life), life)
}

/// Spans whose only difference is their number.
fn make(tracer: &Tracer, number: u64) {
    tracer.open("work", Kind::Internal, Trace::random()).set("n", number);
}

#[tokio::test]
async fn a_span_arrives_as_the_protocol_says() {
    let mut collector = Collector::start().await;
    let (tracer, life) = tracer(collector.endpoint());
    let parent: Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let mut open = tracer.open("work", Kind::Server, parent);
    open.set("text", "a\u{1b}b");
    open.set("number", 7);
    open.set("flag", true);
    open.fail("it\nbroke");
    let context = open.context();
    drop((open, tracer));
    let sent = collector.next().await;
    assert_eq!(sent.service, "test");
    assert_eq!(sent.text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(sent.text("parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(sent.text("spanId"), context.span_id());
    assert_ne!(sent.text("spanId"), sent.text("parentSpanId"));
    assert_eq!(sent.span["kind"], 2);
    assert_eq!(sent.span["status"], serde_json::json!({ "code": 2, "message": "it\\nbroke" }));
    assert_eq!(
        sent.span["attributes"],
        serde_json::json!([
            { "key": "text", "value": { "stringValue": "a\\u{1b}b" } },
            { "key": "number", "value": { "intValue": "7" } },
            { "key": "flag", "value": { "boolValue": true } },
        ])
    );
    let at = |field| sent.text(field).parse::<u64>().unwrap();
    assert!(at("endTimeUnixNano") > at("startTimeUnixNano") && at("startTimeUnixNano") > 1_600_000_000);
    life.stop();
    assert_eq!(life.run(LIMIT).await, Ending::Clean);
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent_and_what_nobody_samples_is_not() {
    let mut collector = Collector::start().await;
    let (tracer, life) = tracer(collector.endpoint());
    let unsampled: Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap();
    drop(tracer.open("unsampled", Kind::Internal, unsampled));
    (0..1000).for_each(|number| make(&tracer, number));
    life.stop();
    drop(tracer);
    assert_eq!(life.run(LIMIT).await, Ending::Clean);
    for number in 0..1000 {
        assert_eq!(collector.next().await.attribute("n"), number.to_string());
    }
    assert!(!collector.everything().contains("unsampled"));
}

#[tokio::test]
async fn a_batch_that_is_not_taken_comes_again() {
    let mut collector = Collector::start().await;
    collector.say(503);
    let (tracer, life) = tracer(collector.endpoint());
    make(&tracer, 1);
    while collector.everything().is_empty() {
        tokio::task::yield_now().await;
    }
    collector.say(200);
    make(&tracer, 2);
    assert_eq!(collector.next().await.attribute("n"), "1");
    assert_eq!(collector.next().await.attribute("n"), "2");
    drop((tracer, life));
}

#[tokio::test]
async fn a_collector_that_is_not_there_or_says_nothing_slows_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let (tracer, life) = tracer(format!("http://{address}/v1/traces").parse().unwrap());
        // Far more than wait at once.
        (0..10_000).for_each(|number| make(&tracer, number));
        tokio::task::yield_now().await;
        life.stop();
        drop(tracer);
        assert_eq!(life.run(LIMIT).await, Ending::Clean);
    }
}

#[tokio::test]
async fn without_a_collector_nothing_is_made() {
    let life = Lifecycle::new();
    let (tracer, parent) = (Tracer::start(None, "test", Clock::System, &life), Trace::random());
    assert!(!tracer.is_on());
    assert_eq!(tracer.open("work", Kind::Internal, parent).context(), parent);
}
