//! A deploy key lives as long as its bottle, and no crash makes it live longer (G8, invariant 10).

use harness::{Backend, FakeForge, Home, TOKEN, World, on_each_backend, soon};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A home whose agent's bottle has a repository at this forge.
fn home(on: Backend, forge: &FakeForge, script: &str) -> Home {
    let home = Home::on(on);
    let host_key =
        concat!("ssh-ed25519 ", "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let bottle = serde_json::json!({
        "agent_provider": { "template": "command", "argv": ["sh", "-c", script] },
        "env": { "STORY": home.marker },
        "git-gate": { "repos": { "tools": {
            "url": "ssh://git@127.0.0.1:1/team/tools.git",
            "host_key": host_key,
            "key": { "provider": "gitea", "api_url": forge.url(), "forge_token_env": "FORGE_TOKEN" },
        } } },
    });
    home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
    home.write_file("agents/worker.md", "---\nbottle: worker\n---\n");
    home
}

on_each_backend!(a_key_goes_with_its_bottle_and_a_killed_launchers_with_the_next_start);

async fn a_key_goes_with_its_bottle_and_a_killed_launchers_with_the_next_start(on: Backend) {
    let forge = FakeForge::start().await;
    let variables = [("FORGE_TOKEN", TOKEN)];
    let world = World::up_in(home(on, &forge, "read word; echo $word"), &variables).await;
    let ran = world.run(&["start", "worker", "--yes", "--prompt", "done"]).await;
    ran.expect_code(0).expect_out("done");
    assert_eq!(forge.titles(), Vec::<String>::new(), "taken back at the end");
    world.down().await;

    let mut world = World::up_in(home(on, &forge, "echo up; exec sleep 600"), &variables).await;
    let mut start = world.home.command(&["start", "worker", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    assert_eq!(soon("its first word", words.next_line()).await.unwrap().as_deref(), Some("up"));
    let titles = forge.titles();
    assert!(titles.len() == 1 && titles[0].starts_with("bot-bottle worker-"), "{titles:?}");
    start.start_kill().unwrap();
    soon("the watcher's end", start.wait()).await.unwrap();
    world.kill().await;
    assert_eq!(forge.titles(), titles, "nobody was left who could take it back");

    // Without the token nothing can be taken back, and nothing is forgotten.
    let refused = world.run(&["cleanup"]).await;
    refused.expect_code(1).expect_out("FORGE_TOKEN is not set");
    assert_eq!(forge.titles(), titles);
    let mut cleanup = world.home.command(&["cleanup"]);
    let done = soon("the cleanup", cleanup.env("FORGE_TOKEN", TOKEN).output()).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(forge.titles(), Vec::<String>::new());
    assert_eq!(world.home.path().join("state").read_dir().unwrap().count(), 0);
}
