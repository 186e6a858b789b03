//! A real client goes on with its conversation in another bottle: its model is told what was said before (L3, L7).

use base::lifecycle::Lifecycle;
use harness::{Backend, Home, Model, Turn, World, on_each_backend};
use serde_json::Value;

use super::bottle::Client;
use super::whole::{exited, token};
use crate::deciding::origin;

const FIRST: &str = "The password of the garden is heliotrope.";
const SECOND: &str = "I still know it.";

on_each_backend!(
    claude_goes_on_where_it_left_off,
    codex_goes_on_where_it_left_off,
    opencode_goes_on_where_it_left_off,
);

async fn claude_goes_on_where_it_left_off(on: Backend) {
    tell(on, Client::claude()).await;
}

async fn codex_goes_on_where_it_left_off(on: Backend) {
    tell(on, Client::codex()).await;
}

async fn opencode_goes_on_where_it_left_off(on: Backend) {
    tell(on, Client::opencode()).await;
}

async fn tell(on: Backend, client: Client) {
    let token = token();
    let lifecycle = Lifecycle::new();
    let model = Model::start([Turn::say(FIRST), Turn::say(SECOND)], &lifecycle).await;
    let (port, _origin) = origin().await;
    let world = World::up_in(Home::on(on), &[("STORY_TOKEN", &token)]).await;
    client.write(&world.home, &model, port);

    let start = ["start", "worker", "--headless", "--json", "--prompt", "Remember the garden."];
    let first = world.run(&start).await.expect_code(0).json();
    let bottle = first["bottle"].as_str().unwrap();
    let resume = ["resume", bottle, "--headless", "--json", "--prompt", "What do you remember?"];
    let second = world.run(&resume).await.expect_code(0).json();
    assert_eq!((&first["result"], &second["result"]), (&Value::from(FIRST), &Value::from(SECOND)));
    assert_eq!(first["session"], second["session"], "it is the same conversation");
    let next = second["bottle"].as_str().unwrap();
    assert_ne!(bottle, next);
    assert_eq!(exited(&world, next).await["session"], first["session"]);

    let steps = model.steps();
    let (told, asked) = (&steps[0], steps.last().unwrap());
    assert!(!told.body.contains("heliotrope"), "{told:#?}");
    for earlier in ["Remember the garden.", "heliotrope", "What do you remember?"] {
        assert!(asked.body.contains(earlier), "{earlier} is missing: {asked:#?}");
    }
    assert_eq!(asked.header(client.header), Some(client.shown(&token).as_str()));
    lifecycle.stop();
    world.down().await;
}
