//! The object store.

use bus::layout::{COMMITS, TRANSCRIPTS};
use bus::role::Role;

use crate::support::World;

#[tokio::test]
async fn objects_go_in_and_out_whole() {
    let world = World::start().await;
    let (launcher, operator) = (world.role(Role::Launcher).await, world.role(Role::Operator).await);
    let store = launcher.objects(TRANSCRIPTS);
    let content: Vec<u8> = (0..1_000_003_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let put = store.put("me-00000/session 1.jsonl", content.as_slice()).await.unwrap();
    assert_eq!((put.size, put.chunks), (1_000_003, 8));
    let mut got = Vec::new();
    let info = operator.objects(TRANSCRIPTS).get("me-00000/session 1.jsonl", &mut got).await.unwrap();
    assert!(info.unwrap() == put && got == content);

    store.put("me-00000/session 1.jsonl", &b"new"[..]).await.unwrap();
    store.put("empty", &b""[..]).await.unwrap();
    let names: Vec<_> = store.list().await.unwrap().into_iter().map(|info| (info.name, info.size)).collect();
    assert_eq!(names, [("empty".into(), 0), ("me-00000/session 1.jsonl".into(), 3)]);

    store.delete("me-00000/session 1.jsonl").await.unwrap();
    assert_eq!(store.get("me-00000/session 1.jsonl", &mut Vec::new()).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap().len(), 1);
    store.delete("never there").await.unwrap();
}

/// The pieces of any object that hold something.
struct Piece(usize);

impl bus::Payload for Piece {
    fn parse(_: &str, payload: &[u8]) -> Result<Self, bus::Malformed> {
        Ok(Self(payload.len()))
    }
}

async fn pieces(bus: &bus::Bus) -> usize {
    let mut pieces = bus.follow::<Piece>("OBJ_commits", "$O.commits.C.>", bus::Since::All).await.unwrap();
    let mut count = 0;
    while let Some(piece) = pieces.stored().await.unwrap() {
        count += usize::from(piece.message.unwrap().0 > 0);
    }
    count
}

#[tokio::test]
async fn nothing_stays_of_an_object_that_was_not_completed() {
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    let store = launcher.objects(COMMITS);
    // It never comes to its end, as if whoever writes it had died.
    let (mut to, from) = tokio::io::duplex(1 << 20);
    tokio::io::AsyncWriteExt::write_all(&mut to, &[7; 500_000]).await.unwrap();
    let version = base::id::ExchangeId::random();
    let begun = async {
        while pieces(&launcher).await < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        put = store.put_as("half", &version, from) => panic!("it was completed: {put:?}"),
        () = begun => {}
    }
    assert_eq!(store.info("half").await.unwrap(), None);
    assert!(pieces(&launcher).await >= 3);
    store.abandon("half", &version).await.unwrap();
    assert_eq!(pieces(&launcher).await, 0);

    // One that was completed goes as well, and another version of the same name does not.
    store.put_as("whole", &version, &b"whole"[..]).await.unwrap();
    store.abandon("whole", &base::id::ExchangeId::random()).await.unwrap();
    assert!(store.info("whole").await.unwrap().is_some());
    store.abandon("whole", &version).await.unwrap();
    assert_eq!((store.info("whole").await.unwrap(), pieces(&launcher).await), (None, 0));
}
