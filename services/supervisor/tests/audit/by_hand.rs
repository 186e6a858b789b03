//! What `docs/audit.md` says can be done with `sha256sum`, `sed` and `openssl`.

use std::process::Command;

use bus::role::Role;

use crate::support::{World, failed};

const SCRIPT: &str = include_str!("by_hand.sh");

#[tokio::test]
async fn a_trail_can_be_verified_with_common_tools() {
    let world = World::start().await;
    world.role(Role::Launcher).await.publish(&failed(1)).await.unwrap();
    let writing = world.write().await;
    let lines = world.until_recorded(1).await;
    writing.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |lines: &[Vec<u8>]| {
        let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        std::fs::write(folder.path().join("trail.jsonl"), text).unwrap();
        std::fs::copy(world.place().public_key(), folder.path().join("key.pem")).unwrap();
        let output = Command::new("bash").args(["-c", SCRIPT]).current_dir(folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let good = run(&lines);
    assert_eq!(good.matches("Signature Verified Successfully").count(), 2, "{good}");
    assert!(!good.contains("record"), "{good}");
    let mut edited = lines;
    edited[1] = String::from_utf8(edited[1].clone()).unwrap().replace("r1", "r2").into_bytes();
    assert!(run(&edited).contains("record 3 does not follow record 2"));
}
