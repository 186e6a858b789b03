//! What a stranger on the network, and one at the forge, can do to a dispatcher: nothing (D1, D3).

use std::time::{Duration, Instant};

use bus::message::pr::Verdict;
use harness::{Home, Pulls, soon};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::within::{Within, until};
use super::world::{Dispatched, post, signatures};
use super::{are_done, exits};

/// How long Gitea waits for an answer unless it is told otherwise (`DELIVER_TIMEOUT`).
const PATIENCE: Duration = Duration::from_secs(5);

/// Repeats what it is told, as an agent that is easily led would, and adds what moves a cursor, turns a line around, ends a
/// block of code and calls people.
const PARROT: &str = "cat; printf '\\033]0;t\\007\\342\\200\\256\\n~~~\\n~~~~~\\n@all $(x) <!-- hidden\\n'";

fn repeating() -> Home {
    let home = Home::empty();
    home.write("parrot", &["sh", "-c", PARROT], &policy::EgressPolicy::default());
    home
}

#[tokio::test]
async fn connections_that_say_nothing_hold_no_delivery_up() {
    let story = Within::up(repeating(), "parrot", &[]).await;
    let mut held = Vec::new();
    for said in
        ["", "POST /webhook/team HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n{", "POST /webh"]
    {
        for _ in 0..200 {
            let mut stream = TcpStream::connect(&story.address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            held.push(stream);
        }
    }
    let begun = Instant::now();
    story.send("opened", 0).await;
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // They were let go, and did not just leave room.
    let read = soon("the end of the first of them", held[0].read(&mut [0; 16])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    story.down().await;
}

#[tokio::test]
async fn what_was_signed_once_is_one_event_whatever_else_is_said_of_it() {
    let story = Within::up(repeating(), "parrot", &[]).await;
    let operator = story.operator().await;
    story.send("opened", 0).await;
    story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    let (headers, body) = story.delivery("opened", 0);
    let with = |name: &str, value: &str| {
        let changed = |(known, before): &(String, String)| {
            (known.clone(), if known.ends_with(name) { value.to_owned() } else { before.clone() })
        };
        headers.iter().map(changed).collect::<Vec<_>>()
    };
    let mut twice = headers.clone();
    twice.extend(signatures("another", false));
    for (headers, body, status) in [
        // Only the payload is signed: neither the id of the delivery nor the name of its event.
        (with("-Delivery", "another-one"), body.clone(), 200),
        (with("-Event", "pull_request_comment"), body.clone(), 200),
        (with("-Event", "issue_comment"), body.clone(), 200),
        // Of several signatures, none is to be wrong.
        (twice, body.clone(), 401),
        (headers.clone(), body.replace("\"ann\"", "\"eve\""), 401),
        (headers.clone(), format!("{body}\n"), 401),
        (with("Content-Type", "text/plain"), body.clone(), 400),
    ] {
        let answered = soon("an answer", post(&story.address, "/webhook/team", &headers, &body)).await;
        assert_eq!(answered.unwrap(), status, "{headers:?}");
    }
    // Whatever came before this was worked on before it.
    story.send("comment-by-stranger", 10).await;
    let session = until(&operator, "a stranger's comment", |session| {
        session.noted.last().is_some_and(|noted| noted.verdict == Verdict::NotAllowed)
    })
    .await;
    assert_eq!((session.runs, session.noted.len()), (1, 2), "{session:?}");
    assert_eq!(exits(&operator).await, 1);
    // Forgejo sends a third of each header.
    story.send("comment-mention-forgejo", 20).await;
    story.forge.until("a second answer", |memory| are_done(memory, 2)).await;
    story.down().await;
}

#[tokio::test]
async fn a_forge_that_does_not_tell_who_may_is_asked_again_and_nobody_passes_meanwhile() {
    let world = Dispatched::up().await;
    let operator = world.operator().await;
    world.forge.change(|memory| {
        memory.is_no_administrator = true;
        memory.writers = vec!["eve".to_owned()];
    });
    assert_eq!(world.send("comment-by-stranger", 0).await, 200);
    let asked = |memory: &Pulls| memory.requests.iter().filter(|one| one.ends_with("/permission")).count();
    world.forge.until("a second question", |memory| asked(memory) >= 2).await;
    assert_eq!(exits(&operator).await, 0);
    let log = world.log();
    assert!(log.contains("the forge answered 403: Only admins can query"), "{log}");
    world.forge.change(|memory| memory.is_no_administrator = false);
    let memory = world.forge.until("an answer", |memory| are_done(memory, 1)).await;
    assert!(memory.comments[0].body.contains("comment by `eve`"), "{memory:?}");
    world.down().await;
}

#[tokio::test]
async fn hostile_names_and_hidden_words_stay_data_all_the_way_back_to_the_forge() {
    let story = Within::up(repeating(), "parrot", &[]).await;
    story.send("hostile-names", 0).await;
    let memory = story.forge.until("an answer", |memory| are_done(memory, 1)).await;
    let body = &memory.comments[0].body;
    // The agent was told of it as such, and repeats it; what is posted of that is code.
    assert!(body.contains("| ") && body.contains("[hidden HTML comment:"), "{body}");
    for character in ['\u{1b}', '\u{7}', '\u{202e}', '\0'] {
        assert!(!body.contains(character), "{character:?}: {body}");
    }
    let fence = body.lines().find(|line| line.starts_with("~~~")).unwrap().trim_end_matches("text");
    let parts: Vec<&str> = body.split(&format!("\n{fence}")).collect();
    assert!(parts.len() == 3 && parts[1].contains("@all $(x)"), "{body}");
    for free in [parts[0], parts[2]] {
        assert!(!free.contains('@') && !free.contains("$("), "{free}");
    }
    let listed = story.world.run(&["dispatch", "list"]).await;
    assert!(!listed.out.contains('\u{1b}'), "{listed:?}");
    story.down().await;
}
