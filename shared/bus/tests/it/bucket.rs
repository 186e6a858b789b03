//! Key-value buckets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use bus::layout::POLICY;
use bus::role::Role;
use bus::{Bus, BusError, Connect};

use crate::examples::policy_revision;
use crate::support::{World, soon};

#[tokio::test]
async fn values_change_only_by_the_revision_that_was_read() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    let policy = supervisor.bucket(&POLICY);
    let mut value = policy_revision("me-00000");
    assert_eq!(policy.get("me-00000").await.unwrap(), None);
    let first = policy.create("me-00000", &value).await.unwrap();
    let again = policy.create("me-00000", &value).await.unwrap_err();
    assert!(matches!(again, BusError::Conflict { .. }), "{again}");

    value.revision = 2;
    let second = policy.update("me-00000", &value, first).await.unwrap();
    let late = policy.update("me-00000", &value, first).await.unwrap_err();
    assert!(matches!(late, BusError::Conflict { expected, .. } if expected == first), "{late}");
    let read = policy.get("me-00000").await.unwrap().unwrap();
    assert_eq!((read.value, read.revision), (value.clone(), second));
    let history = policy.history("me-00000").await.unwrap();
    assert_eq!(history.iter().map(|value| value.value.revision).collect::<Vec<_>>(), [1, 2]);

    policy.put("you-00000", &policy_revision("you-00000")).await.unwrap();
    assert_eq!(policy.keys().await.unwrap(), ["me-00000", "you-00000"]);
    policy.delete("me-00000").await.unwrap();
    assert_eq!(policy.keys().await.unwrap(), ["you-00000"]);
    assert_eq!(policy.get("me-00000").await.unwrap(), None);
    assert_eq!(policy.history("me-00000").await.unwrap(), []);
    policy.create("me-00000", &value).await.unwrap();
    assert_eq!(policy.history("me-00000").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_last_value_is_forgotten_and_a_removed_key_leaves_nothing() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    let policy = supervisor.bucket(&POLICY);
    let value = policy_revision("me-00000");
    let first = policy.create("me-00000", &value).await.unwrap();
    policy.create("you-00000", &value).await.unwrap();
    let kept = policy.update_for("me-00000", &value, first, Duration::from_secs(5)).await.unwrap();
    assert!(matches!(policy.update("me-00000", &value, first).await, Err(BusError::Conflict { .. })));
    let read = policy.get("me-00000").await.unwrap().unwrap();
    assert_eq!((read.revision, read.expires), (kept, true));
    assert!(!policy.get("you-00000").await.unwrap().unwrap().expires);
    let forgotten = async { while policy.get("me-00000").await.unwrap().is_some() {} };
    soon("the end of its time", forgotten).await;

    policy.delete("you-00000").await.unwrap();
    // Of the one key nothing is left, of the other the mark of its removal.
    let mut left = supervisor.bucket(&POLICY).watch().await.unwrap();
    let change = left.stored().await.unwrap().unwrap();
    assert_eq!((change.key.as_str(), change.value.is_none()), ("you-00000", true));
    assert!(left.stored().await.unwrap().is_none());
}

/// The server has stored the first try, lost its memory of it, and compares revisions at the second.
#[tokio::test]
async fn a_write_does_not_conflict_with_its_own_first_try() {
    let home = tempfile::tempdir().unwrap();
    let keys = bus::keys::Keys::init(home.path()).unwrap();
    for (own, sequence) in [(true, Some(7)), (false, None)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        // It ends when the client goes away.
        std::thread::spawn(move || Forgetful::serve(&listener, own));
        let credentials = keys.mint(Role::Supervisor, None).unwrap();
        let bus = soon("a bus", Bus::connect(Connect::new(url, credentials))).await.unwrap();
        let written = bus.bucket(&POLICY).create("me-00000", &policy_revision("me-00000")).await;
        assert_eq!(written.ok(), sequence);
    }
}

/// As much of a server as one write needs: it refuses the write, and then has it stored.
#[derive(Default)]
struct Forgetful {
    /// Subject → subscription.
    heard: Vec<(String, String)>,
    headers: String,
}

impl Forgetful {
    fn serve(listener: &std::net::TcpListener, own: bool) {
        let (mut stream, _) = listener.accept().unwrap();
        let info = r#"INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true,"nonce":"abc","proto":1}"#;
        write!(stream, "{info}\r\n").unwrap();
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut server = Self::default();
        let mut line = String::new();
        while input.read_line(&mut line).is_ok_and(|read| read > 0) {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            line.clear();
            match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["PING"] => stream.write_all(b"PONG\r\n").unwrap(),
                ["SUB", subject, .., id] => {
                    server.heard.push((subject.trim_end_matches('*').to_owned(), (*id).to_owned()));
                }
                ["HPUB" | "PUB", _, reply, sizes @ ..] => {
                    let size: usize = sizes.last().unwrap().parse().unwrap();
                    let mut body = vec![0; size + 2];
                    input.read_exact(&mut body).unwrap();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    stream.write_all(server.answer(reply, &body, own).as_bytes()).unwrap();
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, reply: &str, body: &str, own: bool) -> String {
        let (_, id) = self.heard.iter().find(|(subject, _)| reply.starts_with(subject)).unwrap();
        if let Some((headers, _)) = body.split_once("\r\n\r\n") {
            let changed = if own { "Nats-Msg-Id" } else { "Nats-Msg-Id: x\r\nFormer-Id" };
            self.headers = headers.replace("Nats-Msg-Id", changed);
            let refusal = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"}}"#;
            return format!("MSG {reply} {id} {}\r\n{refusal}\r\n", refusal.len());
        }
        let headers = format!(
            "{}\r\nNats-Subject: $KV.policy.me-00000\r\nNats-Sequence: 7\r\nNats-Time-Stamp: 2026-11-21T12:00:00Z\r\n\r\n",
            self.headers
        );
        format!("HMSG {reply} {id} {0} {0}\r\n{headers}\r\n", headers.len())
    }
}

#[tokio::test]
async fn a_watch_gives_the_values_and_then_each_change() {
    let world = World::start().await;
    let (supervisor, operator) = (world.role(Role::Supervisor).await, world.role(Role::Operator).await);
    let policy = supervisor.bucket(&POLICY);
    policy.put("me-00000", &policy_revision("me-00000")).await.unwrap();
    let mut watch = operator.bucket(&POLICY).watch().await.unwrap();
    let change = soon("the value", watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.is_some()), ("me-00000", true));
    assert!(watch.stored().await.unwrap().is_none());
    world.kill_server();
    policy.delete("me-00000").await.unwrap();
    let change = soon("the removal", watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.is_none()), ("me-00000", true));
}
