//! A session that cannot go on: the run that was to go on with it begins anew (D3, D6).

use bus::layout::TRANSCRIPTS;
use bus::role::Role;

use super::are_done;
use super::world::Dispatched;

#[tokio::test]
async fn a_comment_that_was_begun_goes_on_as_that_of_the_run_that_begins_anew() {
    let mut world = Dispatched::up().await;
    let operator = world.operator().await;
    assert_eq!(world.send("opened", 0).await, 200);
    world.forge.until("an answer", |memory| are_done(memory, 1)).await;
    let first = world.until(&operator, "nothing more to tell", |session| {
        session.run.is_none() && session.answers.is_empty()
    });
    let bottle = first.await.bottle.unwrap();
    let launcher = world.apart.connect(Role::Launcher).await;
    launcher.objects(TRANSCRIPTS).delete(bottle.as_str()).await.unwrap();

    // The forge has the second run's comment, and has not said so yet, when that run turns out to be impossible.
    world.apart.stop_launcher().await;
    world.forge.change(|memory| memory.holds_comments = true);
    assert_eq!(world.send("synchronized", 10).await, 200);
    world.forge.until("a comment that is begun", |memory| memory.comments.len() == 2).await;
    world.apart.start_launcher();
    world.until(&operator, "a run that begins anew", |session| session.runs == 3).await;
    world.forge.change(|memory| memory.holds_comments = false);

    let memory = world.forge.until("its answer", |memory| are_done(memory, 2)).await;
    let body = &memory.comments[1].body;
    assert!(
        body.contains("resumed 0") && body.contains("The session before this one could not go on"),
        "{body}"
    );
    world.down().await;
}
