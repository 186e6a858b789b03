//! The story: an agent is refused and asks, a person grants less, what was granted passes and nothing else does.

use std::path::Path;

use base::id::{RequestId, Slug};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::layout::{EVENTS, OUTPUT, PROPOSED};
use bus::message::event::Event;
use bus::message::proposal::{Outcome, ProposalRecord};
use bus::message::run::{Exited, Output};
use bus::message::start::StartRequest;
use bus::{Bus, BusError, Change, Follow, Since};
use policy::EgressPolicy;
use tokio::sync::{mpsc, watch};

use super::person::Person;

/// Where the story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The start is asked for.
    Asked,
    /// The program runs.
    Started,
    /// It was refused.
    Refused,
    /// Its proposal waits.
    Waits,
    /// The person has answered.
    Answered,
    /// The agent was told.
    Told,
    /// What it was granted passed, and nothing else.
    Kept,
    /// The bottle is over.
    Over,
}

impl Step {
    pub(super) const ALL: [Self; 8] = [
        Self::Asked,
        Self::Started,
        Self::Refused,
        Self::Waits,
        Self::Answered,
        Self::Told,
        Self::Kept,
        Self::Over,
    ];
}

/// What is known of the story at its end.
pub(super) struct End {
    pub(super) request: RequestId,
    pub(super) exited: Exited,
    /// Every bottle that ran for it, in order.
    pub(super) bottles: Vec<Slug>,
    /// What the last one wrote.
    pub(super) words: String,
    pub(super) person: Person,
}

/// Writes the bottle and its agent; what it may reach is this port.
pub(super) fn write(home: &harness::Home, port: u16) {
    // The route's address is the operator's; the agent asks for paths and methods.
    let route = serde_json::json!({
        "host": "new.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{port}"),
        "allow_private": ["127.0.0.0/8"], "matches": [{ "paths": [{ "type": "exact", "value": "/open" }] }],
    });
    let policy: EgressPolicy = serde_json::from_value(serde_json::json!({ "routes": [route] })).unwrap();
    home.write("asker", &["/usr/bin/python3", "-c", include_str!("agent.py")], &policy);
}

/// Tells it to its end, and says where it is. Whatever is asked for is answered, however often, as soon as `answers` says
/// that somebody answers.
pub(super) async fn tell(
    home: &Path,
    bus: Bus,
    mut answers: watch::Receiver<bool>,
    at: mpsc::UnboundedSender<Step>,
) -> End {
    // Whoever waited for a step may have what it wanted.
    let reached = |step| {
        let _ = at.send(step);
    };
    let mut person = Person::of(home, &bus);
    let mut cards = bus.bucket(&PROPOSED).watch().await.unwrap();
    let mut events = bus.follow::<Event>(EVENTS, "bottle.>", Since::All).await.unwrap();
    let request = start();
    bus.publish(&request).await.unwrap();
    reached(Step::Asked);
    let (mut bottles, mut pieces, mut words, mut waits) = (Vec::new(), None, String::new(), Vec::new());
    let exited = loop {
        tokio::select! {
            event = events.next() => match event.unwrap().message.unwrap() {
                Event::Started(started) => {
                    pieces = Some(of(&bus, &started.bottle).await);
                    bottles.push(started.bottle);
                    words.clear();
                    reached(Step::Started);
                }
                Event::Exited(exited) if bottles.last() == Some(&exited.bottle) => break exited,
                Event::Failed(failed) => panic!("{failed:?}"),
                _ => {}
            },
            piece = next(&mut pieces) => {
                heard(&mut words, &piece).for_each(&reached);
            }
            change = cards.next() => if let Some(card) = waiting(change.unwrap()) {
                reached(Step::Waits);
                waits.push(card);
            },
            Ok(_) = answers.wait_for(|answers| *answers), if !waits.is_empty() => {
                for card in waits.drain(..) {
                    let outcome = person.grant_less(&card).await;
                    assert!(matches!(outcome, Outcome::Modified | Outcome::Expired), "{card:?} {outcome:?}");
                    reached(Step::Answered);
                }
            }
        }
    };
    if let Some(pieces) = &mut pieces {
        words.push_str(&rest(pieces).await);
    }
    reached(Step::Over);
    End { request: request.id, exited, bottles, words, person }
}

/// Takes in what the agent has written; the steps of which that tells.
fn heard(words: &mut String, piece: &str) -> impl Iterator<Item = Step> + use<> {
    let lines = |words: &str| words.matches('\n').count();
    let before = lines(words);
    words.push_str(piece);
    let new = before + 1..=lines(words);
    let steps = [(1, Step::Refused), (2, Step::Told), (4, Step::Kept)];
    steps.into_iter().filter(move |(line, _)| new.contains(line)).map(|(_, step)| step)
}

/// All that an agent wrote was stored before its end.
async fn rest(pieces: &mut Follow<Output>) -> String {
    let mut words = String::new();
    loop {
        match pieces.stored().await {
            Ok(Some(piece)) => words.push_str(&text(piece.message.unwrap())),
            Ok(None) => return words,
            // Whoever is killed last is killed about now.
            Err(BusError::Deadline { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn start() -> StartRequest {
    let id = RequestId::random();
    serde_json::from_value(serde_json::json!({ "v": 1, "id": id, "agent": "asker" })).unwrap()
}

fn waiting(change: Change<ProposalRecord>) -> Option<ProposalRecord> {
    change.value.and_then(Result::ok).map(|entry| entry.value).filter(ProposalRecord::is_open)
}

async fn of(bus: &Bus, bottle: &Slug) -> Follow<Output> {
    bus.follow(OUTPUT, &format!("bottle.output.{bottle}"), Since::All).await.unwrap()
}

async fn next(pieces: &mut Option<Follow<Output>>) -> String {
    match pieces {
        Some(pieces) => text(pieces.next().await.unwrap().message.unwrap()),
        None => std::future::pending().await,
    }
}

fn text(piece: Output) -> String {
    String::from_utf8(BASE64_STANDARD.decode(piece.data).unwrap()).unwrap()
}
