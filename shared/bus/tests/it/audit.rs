//! The stream of the audit trail: what nobody can do to it.

use bus::layout::AUDIT;
use bus::role::Role;
use bus::{BusError, Malformed, Payload, Since};

use crate::permissions::Raw;
use crate::support::{World, soon};

struct Bytes(Vec<u8>);

impl Payload for Bytes {
    fn parse(_: &str, payload: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(payload.to_vec()))
    }
}

/// Not even the admin, who may ask for anything.
#[tokio::test]
async fn nothing_can_be_deleted_purged_or_made_deletable() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    for n in 0..3 {
        supervisor.append(AUDIT, "audit.trail", format!("{n}").into(), n).await.unwrap();
    }
    let admin = Raw::connect(world.server.url(), &world.keys.mint(Role::Admin, None).unwrap()).await;
    let ask = async |subject: &str, body: String| {
        let answer = soon("an answer", admin.client.request(subject.to_owned(), body.into())).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&answer.payload).unwrap()
    };
    let info = ask("$JS.API.STREAM.INFO.AUDIT", String::new()).await;
    for (subject, body) in [
        ("$JS.API.STREAM.MSG.DELETE.AUDIT", r#"{"seq":2}"#.to_owned()),
        ("$JS.API.STREAM.MSG.DELETE.AUDIT", r#"{"seq":2,"no_erase":true}"#.to_owned()),
        ("$JS.API.STREAM.PURGE.AUDIT", String::new()),
        ("$JS.API.STREAM.PURGE.AUDIT", r#"{"seq":2}"#.to_owned()),
    ] {
        let answer = ask(subject, body).await;
        assert!(answer.get("error").is_some(), "{subject}: {answer}");
    }
    for field in ["deny_delete", "deny_purge"] {
        let mut config = info["config"].clone();
        config[field] = false.into();
        let answer = ask("$JS.API.STREAM.UPDATE.AUDIT", config.to_string()).await;
        assert!(answer.get("error").is_some(), "{field}: {answer}");
    }
    assert_eq!(ask("$JS.API.STREAM.INFO.AUDIT", String::new()).await["state"]["messages"], 3);
}

#[tokio::test]
async fn of_several_who_append_one_wins() {
    let world = World::start().await;
    let (one, other) = (world.role(Role::Supervisor).await, world.role(Role::Supervisor).await);
    assert_eq!(one.append(AUDIT, "audit.trail", "first".into(), 0).await.unwrap(), 1);
    for last in [0, 2] {
        let late = other.append(AUDIT, "audit.trail", "second".into(), last).await;
        assert!(matches!(late, Err(BusError::Conflict { expected, .. }) if expected == last), "{late:?}");
    }
    assert_eq!(other.append(AUDIT, "audit.egress", "second".into(), 1).await.unwrap(), 2);
    let mut trail = one.follow::<Bytes>(AUDIT, ">", Since::All).await.unwrap();
    let mut seen = Vec::new();
    while let Some(record) = trail.stored().await.unwrap() {
        seen.push(String::from_utf8(record.message.unwrap().0).unwrap());
    }
    assert_eq!(seen, ["first", "second"]);
}

/// The confirmation of an append gets lost with the server; the same append, tried again, is not a second record.
#[tokio::test]
async fn an_append_across_a_killed_server_is_stored_once() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    for n in 0..40 {
        if n % 10 == 5 {
            world.kill_server();
        }
        let stored = supervisor.append(AUDIT, "audit.trail", format!("{n}").into(), n).await.unwrap();
        assert_eq!(stored, n + 1);
    }
}

#[tokio::test]
async fn only_the_supervisor_appends() {
    let world = World::start().await;
    for role in [Role::Admin, Role::Launcher, Role::Dispatcher, Role::Operator] {
        let bus = world.role(role).await;
        let denied = bus.append(AUDIT, "audit.egress", "forged".into(), 0).await;
        assert!(matches!(denied, Err(BusError::Denied(_))), "{role}: {denied:?}");
    }
    let bottle = world.bottle(&crate::support::slug("me-00000")).await;
    let denied = bottle.append(AUDIT, "audit.egress", "forged".into(), 0).await;
    assert!(matches!(denied, Err(BusError::Denied(_))), "{denied:?}");
}
