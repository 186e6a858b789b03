//! A pull request shows what its agent was refused and what waits for a person, while it runs and after it (D7).

use bus::Since;
use bus::layout::PROPOSALS;
use bus::message::proposal::Resolved;
use harness::{Home, PullForge, Pulls, soon};

use super::are_done;
use super::within::{Within, until};

const AGENT: &str = include_str!("asks.py");

fn statuses(memory: &Pulls) -> Vec<&str> {
    memory.statuses.iter().map(|(_, state)| state.as_str()).collect()
}

/// Waits until the only comment has all of these parts; what it says then.
async fn says(forge: &PullForge, parts: &[&str]) -> String {
    let has = |memory: &Pulls| {
        memory.comments.len() == 1 && parts.iter().all(|part| memory.comments[0].body.contains(part))
    };
    let memory = forge.until(&format!("a comment with {parts:?}"), has).await;
    memory.comments[0].body.clone()
}

#[tokio::test]
async fn what_is_refused_and_what_waits_is_told_while_the_agent_runs() {
    let home = Home::empty();
    home.write("asker", &["/usr/bin/python3", "-c", AGENT, "wait"], &policy::EgressPolicy::default());
    let story = Within::up(home, "asker", &[]).await;
    story.send("opened", 0).await;

    // Both wait; the comment is the one that said that it was about to run.
    let waits = "Waits for an operator:\n\n- `egress: other.example.com`\n- `egress: new.example.com`\n";
    let shown =
        says(&story.forge, &[": running\n", "Refused:\n\n- `GET http://unlisted.example/", waits]).await;
    let refused = shown.lines().find(|line| line.contains("unlisted")).unwrap();
    // What an agent chose of it is code from its first to its last character.
    assert!(refused.starts_with("- `") && refused.matches('`').count() == 2, "{refused}");
    story.forge.until("a pending status", |memory| statuses(memory) == ["pending"]).await;

    // A person says yes to one of them.
    let waiting = story.world.run(&["proposals", "list", "--json"]).await.expect_code(0).json();
    let card = waiting.as_array().unwrap().iter().find(|card| card["content"]["host"] == "new.example.com");
    let proposal = card.unwrap_or_else(|| panic!("{waiting}"))["proposal"].as_str().unwrap().to_owned();
    story.world.run(&["proposals", "approve", &proposal, "--bottle"]).await.expect_code(0);

    // What the person decided belongs to the delivery's trace, too.
    let operator = story.operator().await;
    let mut resolved =
        operator.follow::<Resolved>(PROPOSALS, "proposal.resolved.*", Since::All).await.unwrap();
    let resolved = soon("the answer", resolved.next()).await.unwrap();
    let noted = until(&operator, "a verdict", |session| !session.noted.is_empty()).await.noted;
    assert_eq!(Some(resolved.trace.id()), noted[0].trace.map(|trace| trace.id()));

    let shown = says(&story.forge, &[": done\n"]).await;
    let unanswered = "Asked for, and not answered:\n\n- `egress: other.example.com`\n";
    assert!(shown.contains(unanswered) && shown.contains("~~~text\n403\npending\napproved\n~~~"), "{shown}");
    assert!(!shown.contains("new.example.com"), "{shown}");
    let told = |memory: &Pulls| statuses(memory) == ["pending", "success"];
    let memory = story.forge.until("a status", told).await;
    assert!(memory.comments[0].edits >= 2, "{}", memory.comments[0].edits);

    // The commit's status says so when it does not end well.
    story.send("synchronized", 10).await;
    let told = |memory: &Pulls| statuses(memory).last().is_some_and(|last| *last == "failure");
    let memory = story.forge.until("a failure", told).await;
    assert_eq!(memory.comments.len(), 2);
    assert!(memory.comments[1].body.contains("its program ended with exit code 3"), "{memory:?}");
    story.down().await;
}

#[tokio::test]
async fn a_status_that_the_forge_does_not_take_holds_nothing_up() {
    let home = Home::empty();
    home.write("quick", &["cat"], &policy::EgressPolicy::default());
    let story = Within::up(home, "quick", &[]).await;
    let operator = story.operator().await;
    story.forge.change(|memory| memory.is_without_commits = true);
    story.send("opened", 0).await;
    story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    until(&operator, "nothing more to tell", |session| session.runs == 1 && session.answers.is_empty()).await;
    story.send("synchronized", 10).await;
    let memory = story.forge.until("a second answer", |memory| are_done(memory, 2)).await;
    assert!(memory.statuses.is_empty());
    story.down().await;
}
