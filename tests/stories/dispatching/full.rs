//! A bus that takes deliveries and no start requests: a disk that is full, or an operator's hand (D5).

use async_nats::ConnectOptions;
use bus::keys::Keys;
use bus::role::Role;
use harness::soon;
use serde_json::{Value, json};

use super::are_done;
use super::world::Dispatched;

/// Says how large a start request may be; -1 is no limit.
async fn limit_requests(world: &Dispatched, bytes: i64) {
    let credentials = Keys::load(world.apart.home.path()).unwrap().mint(Role::Admin, None).unwrap();
    let options = ConnectOptions::with_credentials(credentials.to_file().expose()).unwrap();
    let client = options.custom_inbox_prefix("_INBOX.admin").connect(&world.apart.url).await.unwrap();
    let ask = async |what: &str, body: String| -> Value {
        let answer = client.request(format!("$JS.API.STREAM.{what}.START"), body.into());
        serde_json::from_slice(&soon("an answer", answer).await.unwrap().payload).unwrap()
    };
    let mut settings = ask("INFO", String::new()).await["config"].take();
    settings["max_msg_size"] = json!(bytes);
    let answer = ask("UPDATE", settings.to_string()).await;
    assert_eq!(answer["config"]["max_msg_size"], bytes, "{answer}");
}

#[tokio::test]
async fn a_run_that_the_bus_does_not_take_is_asked_for_until_it_does() {
    let world = Dispatched::up().await;
    let operator = world.operator().await;
    limit_requests(&world, 1).await;
    assert_eq!(world.send("opened", 0).await, 200);
    world.until(&operator, "a run that is noted", |session| session.run.is_some()).await;
    soon("a request that is refused", async {
        while !world.log().contains("what follows is not done yet") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    limit_requests(&world, -1).await;
    world.forge.until("an answer", |memory| are_done(memory, 1)).await;
    let ended = world.until(&operator, "the end", |session| session.run.is_none()).await;
    assert_eq!(ended.runs, 1, "{}", world.log());
    world.down().await;
}
