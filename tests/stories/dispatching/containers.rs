//! A pull request's conversation, whatever its bottles are made of.

use bus::message::pr::{PrSession, PrState};
use harness::{Backend, Home, on_each_backend};

use super::within::{Within, left, until};
use super::{are_done, exits};

on_each_backend!(a_conversation,);

async fn a_conversation(on: Backend) {
    let home = Home::on(on);
    super::world::write_agents(&home);
    let name = on.name();
    let story = Within::up(home, "reviewer", &[]).await;
    let operator = story.operator().await;

    story.send("opened", 0).await;
    let memory = story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    assert!(memory.comments[0].body.contains("resumed 0"), "{memory:#?}");
    let first = until(&operator, "a session", |session| session.session.is_some()).await;
    let all = story.world.run(&["list", "--all", "--json"]).await.expect_code(0).json();
    let bottle = first.bottle.unwrap();
    assert_eq!((&all[0]["backend"], &all[0]["bottle"]), (&name.into(), &bottle.as_str().into()));

    story.send("synchronized", 10).await;
    let memory = story.forge.until("a second answer", |memory| are_done(memory, 2)).await;
    let second = &memory.comments[1].body;
    assert!(second.contains("turn 2: done") && second.contains("resumed 1"), "{second}");
    assert_eq!(second.matches("ran in reviewer-").count(), 2, "{second}");

    story.send("closed", 20).await;
    let is_over =
        |session: &PrSession| session.state == PrState::Closed && dispatcher::machine::is_over(session);
    until(&operator, "a closed one of which nothing is left", is_over).await;
    assert_eq!(exits(&operator).await, 2);
    let home = story.down().await;
    assert_eq!(left(&home, "reviewer"), Vec::<String>::new());
}
