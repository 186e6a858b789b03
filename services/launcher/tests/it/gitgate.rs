//! The git gate: started for bottles that have repositories, told their keys, and found by every address (G1, G2).

use bus::message::run::{FailureKind, StateKept};

use crate::support::world::{World, in_each_world};

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Asks what listens at the gate's port who it is, and git where addresses lead.
const LOOK: &str = "
import socket, subprocess
try:
    peer = socket.create_connection(('gitgate', 9420), 5)
    peer.sendall(b'who')
    print(*peer.recv(1000).decode().split(' ')[1:], flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
for address in ('ssh://git@forge.example.org:2222/team/tools.git', 'git@forge.example.org:team/tools',
                'https://forge.example.org/team/tools.git', 'https://forge.example.org/team/other'):
    subprocess.run(['git', 'ls-remote', '--get-url', address], check=True)
";

/// A bottle's section with one repository.
fn repository(key: &str) -> String {
    format!(
        "git-gate: {{repos: {{tools: {{url: 'ssh://git@forge.example.org:2222/team/tools.git', host_key: {HOST_KEY}, key: {key}}}}}}}"
    )
}

in_each_world!(
    "current_thread":
    a_bottle_with_repositories_has_a_gate_that_every_address_leads_to,
    a_key_that_cannot_be_had_fails_the_launch_and_says_what_to_do,
    deploy_keys_are_made_before_the_gate_starts_and_taken_back_after_it,
);

async fn a_bottle_with_repositories_has_a_gate_that_every_address_leads_to(world: World) {
    let launcher = world.launcher().await;
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "a key\n").unwrap();
    let section = repository(&format!("{{provider: static, path: {}}}", key.path().display()));
    world.agent(&["/usr/bin/python3", "-c", LOOK], &section);
    let exited = world.run("r1").await;
    let said = exited.result.unwrap();
    let lines: Vec<&str> = said.lines().collect();
    let handed =
        "bottle bus canary git gitleaks limits repos revision rules spool ssh supervise trace uplink v";
    assert_eq!(lines[0], format!("{} {handed}", exited.bottle));
    assert_eq!(
        lines[1..],
        [
            "http://gitgate:9420/tools.git",
            "http://gitgate:9420/tools",
            "http://gitgate:9420/tools.git",
            "https://forge.example.org/team/other"
        ]
    );

    world.agent(&["/usr/bin/python3", "-c", LOOK], "");
    let said = world.run("r2").await.result.unwrap();
    assert!(said.starts_with("ConnectionRefusedError\nssh://git@forge"), "{said}");
    launcher.stop().await;
    world.end().await;
}

async fn a_key_that_cannot_be_had_fails_the_launch_and_says_what_to_do(world: World) {
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    for (id, key, words) in [
        ("r1", "{provider: static, path: /no/such/key}", "/no/such/key cannot be opened"),
        ("r2", "{provider: gitea, forge_token_env: UNSET_HERE}", "UNSET_HERE is not set"),
    ] {
        world.agent(&["true"], &repository(key));
        world.start(id).await;
        let failed = events.failed().await;
        assert_eq!(failed.kind, FailureKind::Secret, "{}", failed.reason);
        assert!(failed.reason.contains(words), "{}", failed.reason);
        assert_eq!(failed.request.as_str(), id);
    }
    // What a variable must say before the key can be taken back is looked for again; a key was never made.
    assert_eq!(world.left().len(), 1, "{:?}", world.left());
    launcher.stop().await;

    let host = [("UNSET_HERE".to_owned(), "made-up".to_owned())].into_iter().collect();
    let launcher = world.launcher_with(|config| config.environment = host, launcher::world::nobody()).await;
    assert_eq!((launcher.reconciled.removed.len(), launcher.reconciled.remains.len()), (1, 0));
    assert!(world.left().is_empty(), "{:?}", world.left());
    launcher.stop().await;
    world.end().await;
}

async fn deploy_keys_are_made_before_the_gate_starts_and_taken_back_after_it(world: World) {
    world.agent(&["/usr/bin/python3", "-c", LOOK], &repository("{provider: gitea, forge_token_env: FORGE}"));
    let host = [("FORGE".to_owned(), "made-up".to_owned())].into_iter().collect();
    let launcher = world.launcher_with(|config| config.environment = host, launcher::world::nobody()).await;
    let exited = world.run("r1").await;
    assert!(exited.result.unwrap().contains("repos"));
    assert_eq!((exited.code, exited.state), (0, StateKept::Removed));
    assert!(world.left().is_empty(), "{:?}", world.left());
    launcher.stop().await;

    // A forge that does not take a key back leaves the note of it, for the next one who tries.
    let host = [("FORGE".to_owned(), "refuse-revoke".to_owned())].into_iter().collect();
    let launcher = world.launcher_with(|config| config.environment = host, launcher::world::nobody()).await;
    let exited = world.run("r2").await;
    assert_eq!((exited.code, exited.state), (0, StateKept::Kept));
    let note = world.home.path().join("state").join(exited.bottle.as_str()).join("deploy-keys.json");
    assert!(!std::fs::read_to_string(&note).unwrap().contains("refuse-revoke"), "the token is not in it");
    launcher.stop().await;
    world.end().await;
}
