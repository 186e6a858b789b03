//! What a proxy has refused while the bus was away is recorded, though its launcher does not live to see the bus again
//! (E7, invariants 3 and 10).

use bus::Since;
use bus::layout::EVENTS;
use bus::message::egress::Blocked;
use bus::role::Role;
use harness::{Apart, Backend, all_ended, on_each_backend, soon};
use policy::EgressPolicy;

on_each_backend!(
    records_that_no_bus_took_outlive_their_launcher,
    records_that_no_bus_took_outlive_their_bottle,
);

/// Waits for a word, asks for a host that is refused, and tells that it was.
const AGENT: &str = "
import os, time, urllib.request
while not os.path.exists('go'): time.sleep(0.02)
for name in 'first', 'second':
    try: urllib.request.urlopen('http://%s.example/path' % name, timeout=20)
    except urllib.error.HTTPError as refusal: print(refusal.code)
open('asked', 'w').close()
time.sleep(600)
";

/// Has a bottle refused something while the bus is away. Returns its name.
async fn refused_without_a_bus(apart: &mut Apart) -> String {
    apart.home.write("asker", &["/usr/bin/python3", "-c", AGENT], &EgressPolicy::default());
    let bottle = apart.starts("asker").await;
    let state = apart.home.path().join("state").join(bottle.as_str());
    let workspace = state.join("home/workspace");
    apart.stop_bus().await;
    std::fs::write(workspace.join("go"), "").unwrap();
    // The agent has its answers a moment before its proxy has written them down.
    let written =
        || std::fs::read_to_string(state.join("egress/records")).unwrap_or_default().lines().count();
    soon("two refusals", async {
        while !workspace.join("asked").exists() || written() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    bottle.to_string()
}

/// With a bus and another launcher both refusals are there, once and in their order, and nothing is left.
async fn they_come(mut apart: Apart, bottle: &str) {
    apart.start_bus().await;
    apart.start_launcher();
    let operator = apart.connect(Role::Operator).await;
    let subject = format!("egress.blocked.{bottle}");
    let mut blocked = operator.follow::<Blocked>(EVENTS, &subject, Since::All).await.unwrap();
    for host in ["first.example", "second.example"] {
        let next = tokio::time::timeout(harness::LIMIT, blocked.next()).await;
        let Ok(next) = next else { panic!("{host} is not on the bus\n{}", apart.log()) };
        assert_eq!(next.unwrap().message.unwrap().host, host);
    }
    apart.nothing_waits_of(bottle).await;
    assert_eq!(blocked.stored().await.unwrap(), None, "one came twice");
    apart.down().await;
}

async fn records_that_no_bus_took_outlive_their_launcher(on: Backend) {
    let mut apart = Apart::up_on(on).await;
    let bottle = refused_without_a_bus(&mut apart).await;
    apart.kill_launcher().await;
    // Nobody is there to ask the bus, and nothing of the bottle stays.
    apart.home.run(&["cleanup"]).await.expect_code(0).expect_out(&format!("kept the records of {bottle}"));
    all_ended(&apart.home.marker).await;
    assert!(!apart.home.path().join("state").join(&bottle).exists());

    they_come(apart, &bottle).await;
}

async fn records_that_no_bus_took_outlive_their_bottle(on: Backend) {
    let mut apart = Apart::up_on(on).await;
    let bottle = refused_without_a_bus(&mut apart).await;
    apart.stop_launcher().await;
    assert!(apart.home.path().join("records").join(&bottle).exists(), "{}", apart.log());

    they_come(apart, &bottle).await;
}
