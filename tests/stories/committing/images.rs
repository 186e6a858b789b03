//! What was committed of a container, and the image that it needs.

use bus::layout::COMMITS;
use bus::role::Role;
use engine::Options;
use harness::{Engine, Home, World, soon};

use super::{Bottle, MAKER, cleanup, docker, host, text, write};

#[tokio::test]
async fn a_container_goes_on_in_its_own_image_which_stays_as_long_as_its_commit() {
    // What an engine needs no more is removed, and others would have something begun there.
    let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let engine = &engine;
    let home = Home::empty();
    let dockerfile = |word: &str| {
        let text = format!("FROM debian:bookworm-slim\nRUN echo {word} > /of-the-image\n");
        home.write_file("images/Dockerfile", &text);
    };
    dockerfile("first");
    let program = format!("cat /of-the-image; {MAKER}");
    write(&home, "made", &program, &[("image", serde_json::json!({ "dockerfile": "images/Dockerfile" }))]);
    dockerfile("first");
    let variables = [("DOCKER_HOST", &*host(engine))];
    let path = home.path().join("images/Dockerfile");
    let world = World::up_in(home, &variables).await;
    let bottle = Bottle::start(&world, &["start", "made", "--backend", "docker"]).await;
    let name = bottle.name.clone();
    let commit = world.run(&["commit", &name, "--json"]).await.expect_code(0).json();
    let (pin, id) = (text(&commit["image"], "pin").to_owned(), text(&commit["image"], "id").to_owned());
    assert!(text(&commit["image"], "name").starts_with("bot-bottle/agent:"), "{commit}");
    bottle.end().await;

    // Neither what is not used goes away with it, nor does another Dockerfile change what was committed.
    let home = world.down().await;
    let cleaned = soon("a cleanup", cleanup(engine, &home, None).output()).await.unwrap();
    let said = String::from_utf8_lossy(&cleaned.stdout).into_owned();
    assert!(cleaned.status.success() && said.contains("removed the image bot-bottle/agent:"), "{said}");
    docker(engine, &["image", "prune", "--force"]).await;
    assert_eq!(docker(engine, &["image", "inspect", "--format", "{{.Id}}", &pin]).await.trim(), id);
    let changed = std::fs::read_to_string(&path).unwrap().replace("first", "second");
    std::fs::write(&path, changed).unwrap();

    let world = World::up_in(home, &variables).await;
    let ran = world.run(&["resume", &name, "--yes", "--headless"]).await;
    ran.expect_code(0).expect_out("first\nit was made").expect_err("and the image bot-bottle/agent:");
    let last = world.run(&["list", "--all", "--json"]).await.json();
    let next = text(last.as_array().unwrap().last().unwrap(), "bottle").to_owned();
    assert_eq!(docker(engine, &["ps", "--all", "--quiet", "--filter", &format!("name={next}")]).await, "");

    docker(engine, &["rmi", "--force", &id]).await;
    let gone = world.run(&["resume", &next, "--yes", "--headless"]).await;
    gone.expect_code(65).expect_err("is not on this host's engine any more").expect_err("--fresh");
    let fresh = Bottle::start(&world, &["resume", &next, "--fresh"]).await;
    let fresh = fresh.end().await;
    assert!(text(&fresh, "result").contains("second"), "{fresh}");
    let home = world.down().await;
    soon("a cleanup", cleanup(engine, &home, None).output()).await.unwrap();
}

#[tokio::test]
async fn the_name_that_kept_an_image_goes_with_its_commit() {
    let Some(engine) = Engine::shared() else { return };
    let mut apart = harness::Apart::up().await;
    beats(&apart).await;
    apart.stop_launcher().await;
    let owner = std::fs::read_to_string(apart.home.path().join("launcher/id")).unwrap();
    let pin = |archive: &str| format!("bot-bottle/commit/{}:{archive}", owner.trim().to_ascii_lowercase());
    let (kept, stale, others) =
        (pin("me-00000.A"), pin("me-00000.B"), "bot-bottle/commit/another:me-00000.C");
    for name in [&*kept, &*stale, others] {
        docker(engine, &["tag", "debian:bookworm-slim", name]).await;
    }
    let launcher = apart.connect(Role::Launcher).await;
    launcher.objects(COMMITS).put("me-00000.A", &b"an archive"[..]).await.unwrap();
    let cleaned = cleanup(engine, &apart.home, Some(&apart.url)).output().await.unwrap();
    let said = String::from_utf8_lossy(&cleaned.stdout).into_owned();
    assert!(said.contains(&format!("removed the image {stale}")), "{said}");
    let left = docker(engine, &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).await;
    for (name, stays) in [(&*kept, true), (&*stale, false), (others, true)] {
        assert_eq!(left.lines().any(|line| line == name), stays, "{name}: {left}");
    }
    docker(engine, &["rmi", &kept, others]).await;
    apart.start_launcher();
    beats(&apart).await;
    apart.down().await;
}

/// Completes when a launcher has said that it lives.
async fn beats(apart: &harness::Apart) {
    let operator = apart.connect(Role::Operator).await;
    soon("a launcher that lives", async {
        while operator.bucket(&bus::layout::LAUNCHER_BEATS).keys().await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}
