//! The object store.

use bus::layout::TRANSCRIPTS;
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
