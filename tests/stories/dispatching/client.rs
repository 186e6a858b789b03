//! The real claude answers a pull request, and goes on with the very same conversation until it is closed (D5, P3).

use base::lifecycle::Lifecycle;
use bus::message::pr::{PrSession, PrState};
use harness::{Home, Model, Turn};

use super::are_done;
use super::within::{Within, left, until};
use crate::agents::{Client, token};
use crate::deciding::origin;

const FIRST: &str = "The counter counts once now; it is fine. The password of the garden is heliotrope.";
const SECOND: &str = "I have seen the push, and I still know the garden.";

#[tokio::test]
async fn claude_answers_and_goes_on_with_its_session() {
    let (client, token, lifecycle) = (Client::claude(), token(), Lifecycle::new());
    let model = Model::start([Turn::say(FIRST), Turn::say(SECOND)], &lifecycle).await;
    let (port, _origin) = origin().await;
    let home = Home::empty();
    client.write(&home, &model, port);
    let story = Within::up(home, "worker", &[("STORY_TOKEN", &token)]).await;
    let operator = story.operator().await;

    // Opened: its result is the comment, and it was told what the pull request is about, as data.
    story.send("opened", 0).await;
    let memory = story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    assert!(memory.comments[0].body.contains(&format!("~~~text\n{FIRST}\n~~~")), "{memory:#?}");
    let first = until(&operator, "a session", |session| session.session.is_some()).await;
    let told = model.steps().last().unwrap().clone();
    for part in ["Review team/tools#7.", "| Count words once", "You are the worker of a story."] {
        assert!(told.body.contains(part), "{part}: {told:#?}");
    }

    // A push: the same session, in another bottle; the model sees what was said before.
    story.send("synchronized", 10).await;
    let memory = story.forge.until("a second answer", |memory| are_done(memory, 2)).await;
    let second = &memory.comments[1].body;
    assert!(second.contains("turn 2: done") && second.contains(SECOND), "{second}");
    let next = until(&operator, "a second turn", |session| session.turns == 2).await;
    assert_eq!(next.session, first.session, "it is the same conversation");
    assert_ne!(next.bottle, first.bottle);
    let asked = model.steps().last().unwrap().clone();
    for earlier in ["Review team/tools#7.", "heliotrope", "event 1 of 1: pushed by ann"] {
        assert!(asked.body.contains(earlier), "{earlier} is missing: {asked:#?}");
    }
    assert_eq!(asked.header(client.header), Some(client.shown(&token).as_str()));
    assert_eq!(model.left(), 0);

    // Closed: nothing of it is left.
    story.send("closed", 20).await;
    let is_over =
        |session: &PrSession| session.state == PrState::Closed && dispatcher::machine::is_over(session);
    let closed = until(&operator, "a closed one of which nothing is left", is_over).await;
    assert_eq!(closed.bottle, None);
    story.send("synchronized", 30).await;
    until(&operator, "what came too late", |session| session.noted.len() == 4).await;
    lifecycle.stop();
    let home = story.down().await;
    assert_eq!(left(&home, "worker"), Vec::<String>::new());
    assert_eq!(model.steps().len(), 2, "nothing began again");
}
