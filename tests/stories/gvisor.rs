//! Bottles that are containers under gVisor (L12). Needs a Docker engine of the tests' own and `deploy/tools/runsc`; a machine
//! that cannot run that says so.

use std::path::Path;

use base::Secret;
use base::lifecycle::Lifecycle;
use harness::{Engine, Forge, Home, Origin, Pty, World, containers, docker, host, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::docker::origin;

const SETTINGS: &str = "backend: docker\nruntime: runsc\n";

/// Asks what it may and what it may not, in turn and at once, and waits to be looked at.
const ASKER: &str = r#"
curl -sS http://api.example.com/hello; echo
curl -sS -o /dev/null -w '%{http_code}\n' http://elsewhere.example.com/
for number in 1 2 3 4 5 6 7 8; do
    curl -sS http://api.example.com/hello > "$number" &
done
wait
cat 1 2 3 4 5 6 7 8 | grep -o 'it was shown' | wc -l
uname -v
trap 'echo told; exit 3' TERM
while sleep 0.1; do :; done
"#;

/// The images that the launchers of a home have made.
async fn images(engine: &Engine, home: &Path) -> String {
    let owner = std::fs::read_to_string(home.join("launcher/id")).unwrap();
    let label = format!("label=bot-bottle.owner={}", owner.trim());
    docker(engine.socket(), &["image", "ls", "--all", "--quiet", "--filter", &label]).await
}

fn is_empty(home: &Path) -> bool {
    home.join("state")
        .read_dir()
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name() != ".trash")
        .count()
        == 0
}

/// What was kept of bottles that did not end well goes with a cleanup, and then there is nothing.
async fn emptied(engine: &Engine, home: &Home) {
    let mut cleanup = home.command(&["cleanup", "--all"]);
    let cleaned = cleanup.env("DOCKER_HOST", host(engine.socket())).output().await.unwrap();
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    assert_eq!(containers(engine.socket(), home.path()).await, Vec::<String>::new());
    assert!(is_empty(home.path()));
}

#[tokio::test]
async fn it_is_chosen_and_asks_through_its_proxy_and_hears_that_it_is_to_end() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let token = "of-the-docker-story";
    let world = World::up_with(&[("DOCKER_HOST", &host(engine.socket())), ("STORY_TOKEN", token)]).await;
    let (port, _origin) = origin().await;
    let route = serde_json::json!({
        "host": "api.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{port}"),
        "allow_private": ["127.0.0.0/8"], "auth": {"scheme": "Bearer", "token_ref": "STORY_TOKEN"},
    });
    let policy: EgressPolicy = serde_json::from_value(serde_json::json!({ "routes": [route] })).unwrap();
    world.home.write("asker", &["sh", "-c", ASKER], &policy);
    let mut start = world.home.command(&["start", "asker", "--yes", "--backend", "docker"]);
    let mut start = start.env("DOCKER_HOST", host(engine.socket())).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    let mut word = async || soon("its word", words.next_line()).await.unwrap().unwrap();
    assert_eq!([word().await, word().await, word().await], ["it was shown", "403", "8"]);
    assert!(word().await.contains("2016"), "it is the host's kernel");

    let list = world.run(&["list", "--json"]).await.json();
    assert_eq!((&list[0]["backend"], &list[0]["runtime"]), (&"docker".into(), &"runsc".into()), "{list}");
    let bottle = list[0]["bottle"].as_str().unwrap().to_owned();
    let note = list[0]["note"].as_str().unwrap();
    assert!(note.contains("too old for programs of today"), "{note}");
    world.run(&["list"]).await.expect_out("docker/runsc");
    let all = containers(engine.socket(), world.home.path()).await;
    let inspected = docker(engine.socket(), &["inspect", &all[0]]).await;
    assert!(inspected.contains("\"Runtime\": \"runsc\"") && !inspected.contains(token), "{inspected}");

    world.run(&["stop", &bottle, "--grace", "20"]).await.expect_code(0);
    assert_eq!(word().await, "told");
    let ended = soon("its end", start.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(3), "{}", world.log());
    assert_eq!(containers(engine.socket(), world.home.path()).await, Vec::<String>::new());
    let home = world.down().await;
    emptied(engine, &home).await;
}

#[tokio::test]
async fn it_is_refused_asked_for_and_shown_before_anything_starts() {
    let Some(with) = Engine::with_gvisor() else { return };
    let Some(without) = Engine::shared() else { return };
    let home = Home::empty();
    home.write("kernel", &["uname", "-v"], &EgressPolicy::default());
    let start = async |engine: &Engine, more: &[&str]| {
        let arguments = [&["start", "kernel", "--yes", "--headless"], more].concat();
        let run = home.command(&arguments).env("DOCKER_HOST", host(engine.socket())).output().await.unwrap();
        let said = String::from_utf8([&run.stdout[..], &run.stderr[..]].concat()).unwrap();
        (run.status.code(), said)
    };
    let on = ["--backend", "docker"];
    for (engine, wanted, code, all) in [
        (with, &["--runtime", "runc"][..], 0, &["runtime      runc\n", "(docker/runc,"][..]),
        (with, &["--runtime", "runsc"], 0, &["runtime      runsc (gVisor)\n", "(docker/runsc,", " 2016\n"]),
        (with, &["--dry-run"], 0, &["runtime      runsc (gVisor), or runc if it does not work\n"]),
        (without, &["--dry-run"], 0, &["runtime      runc\n"]),
        (without, &["--runtime", "runsc"], 78, &["no runtime of this name", "daemon.json"]),
        (with, &["--runtime", "crun"], 64, &["this release knows runc and runsc"]),
    ] {
        let (ended, said) = start(engine, &[&on[..], wanted].concat()).await;
        assert_eq!(ended, Some(code), "{wanted:?}: {said}");
        assert!(all.iter().all(|words| said.contains(words)), "{wanted:?}: {said}");
        assert_eq!(said.contains(" 2016\n"), wanted == ["--runtime", "runsc"] && code == 0, "{said}");
    }
    let (ended, said) = start(with, &["--backend", "namespace", "--runtime", "runsc"]).await;
    assert!(ended == Some(78) && said.contains("the backend namespace runs no containers"), "{said}");
    home.write_file("settings.yaml", "backend: docker\nruntime: runc\n");
    let (ended, said) = start(with, &[]).await;
    assert!(ended == Some(0) && said.contains("(docker/runc,"), "{said}");
    // Nothing of the trial is left either.
    assert_eq!(images(with, home.path()).await, "");
    assert_eq!(containers(with.socket(), home.path()).await, Vec::<String>::new());
    assert!(is_empty(home.path()));
}

/// A runtime that is there and cannot hold a bottle: this one has no way to the sockets of its sidecars.
#[tokio::test]
async fn one_that_does_not_work_is_not_chosen_and_the_reason_is_kept() {
    if Engine::with_gvisor().is_none() {
        return;
    }
    let runtime =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/gvisor/runtime").canonicalize().unwrap();
    let settings = serde_json::json!({ "runtimes": { "runsc": {
        "path": runtime, "runtimeArgs": ["--platform=ptrace"],
    } } });
    let options = engine::Options { base: true, settings: Some(settings.to_string()), ..Default::default() };
    let Some(engine) = Engine::start(&options) else { return };
    let home = Home::empty();
    home.write_file("settings.yaml", "backend: docker\n");
    home.write("quiet", &["false"], &EgressPolicy::default());
    let world = World::up_in(home, &[("DOCKER_HOST", &host(engine.socket()))]).await;
    let start = ["start", "quiet", "--yes", "--headless"];
    let refused = world.run(&[&start[..], &["--runtime", "runsc"]].concat()).await;
    refused.expect_code(78).expect_err("it did not connect").expect_err("--host-uds=open");
    world.run(&start).await.expect_code(1).expect_err("(docker/runc,");
    let list = world.run(&["list", "--all", "--json"]).await.json();
    let note = list[0]["note"].as_str().unwrap();
    assert!(note.contains("gVisor (runsc) is registered with the engine and not used: "), "{list}");
    assert!(note.contains("it did not connect"), "{list}");
    let home = world.down().await;
    emptied(&engine, &home).await;
}

/// Shown once the shell's own editor reads the keys.
const PROMPT: &str = "\u{1b}[?2004hready> ";

#[tokio::test]
async fn a_person_works_at_a_terminal_that_stays_inside() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let home = Home::empty();
    home.write_file("settings.yaml", SETTINGS);
    home.write("shell", &["env", "PS1=ready> ", "bash", "--norc"], &EgressPolicy::default());
    let world = World::up_in(home, &[("DOCKER_HOST", &host(engine.socket()))]).await;
    let mut person = Pty::start(&world.home, &["start", "shell", "--yes"]);
    // What is typed before the shell reads again is echoed by the terminal, and its interrupt meets no line.
    person.shows(PROMPT).await;
    person.types("echo here-$((40 + 2))-$TERM; stty size\r");
    person.shows("here-42-xterm-256color").await;
    person.shows("24 80").await;
    person.shows(PROMPT).await;
    person.types("trap 'drawn=1; echo drawn-$(stty size | tr \" \" x)' WINCH; echo set-$((1 + 1))\r");
    person.shows("set-2").await;
    person.shows(PROMPT).await;
    person.resize(50, 132);
    person.types(
        "until [ \"$drawn$(stty size)\" = '150 132' ]; do sleep 0.05; done; echo resized-$((40 + 4))\r",
    );
    person.shows("drawn-50x132").await;
    person.shows("resized-44").await;
    person.shows(PROMPT).await;
    person.types("echo not-$((1 + 1))");
    person.shows("echo not-$((1 + 1))").await;
    person.types("\u{3}");
    person.shows(PROMPT).await;
    person.types("echo code-$?\r");
    person.shows("code-130").await;
    // More than waits anywhere on the way, and its end.
    person.shows(PROMPT).await;
    person.types("seq 1 60000; echo all-$((3 * 3))\r");
    person.shows("60000").await;
    person.shows("all-9").await;
    person.types("exit 7\r");
    assert_eq!(person.code().await, Some(7));
    assert!(person.is_as_before());
    assert_eq!(containers(engine.socket(), world.home.path()).await, Vec::<String>::new());
    world.down().await;
}

/// Clones, is refused one ref and may push another.
const WORKER: &str = r#"
set -e
git clone --quiet "$REPOSITORY" work
cd work
echo cloned
head -c 3000000 /dev/urandom > large
echo text > file
git checkout --quiet -b agent/work
git add .
git commit --quiet -m "Work"
git push --quiet origin HEAD:refs/heads/other 2> /dev/null || echo refused
git push --quiet origin agent/work
echo pushed
"#;

#[tokio::test]
async fn it_clones_and_pushes_through_its_gate() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let (upstream, life, home) = (tempfile::tempdir().unwrap(), Lifecycle::new(), Home::empty());
    let token = format!("made-up-{}", base::id::ExchangeId::random());
    let forge = Forge::make(upstream.path().to_owned(), Secret::new(token.clone())).await.unwrap();
    let origin = Origin::start(&["localhost"], Some(forge.clone()), &life).await.unwrap();
    let authority = upstream.path().join("authority.pem");
    std::fs::write(&authority, &origin.authority).unwrap();
    let url = format!("https://localhost:{}/team/tools.git", origin.address.port());
    let bottle = serde_json::json!({
        "agent_provider": { "template": "command", "argv": ["sh", "-c", WORKER] },
        "env": { "REPOSITORY": url },
        "supervise": false,
        "git-gate": {
            "user": { "name": "Agent", "email": "agent@example.org" },
            "repos": { "tools": { "url": url, "token_ref": "FORGE_TOKEN", "refs": { "create": ["agent/*"] } } },
        },
    });
    home.write_file("settings.yaml", SETTINGS);
    home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
    home.write_file("agents/worker.md", "---\nbottle: worker\n---\n");
    let authority = authority.display().to_string();
    let variables = [
        ("DOCKER_HOST", host(engine.socket())),
        ("FORGE_TOKEN", token),
        ("BOT_BOTTLE_UPSTREAM_CA", authority),
    ];
    let world = World::up_in(home, &variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let ran = world.run(&["start", "worker", "--yes", "--headless"]).await;
    ran.expect_code(0).expect_out("cloned\nrefused\npushed\n");
    let branches = forge.branches().await.unwrap();
    assert_eq!(branches, ["refs/heads/agent/work", "refs/heads/main"]);
    world.down().await;
}

#[tokio::test]
async fn a_container_that_is_killed_from_outside_is_a_lost_bottle_and_nothing_is_left() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let home = Home::empty();
    home.write_file("settings.yaml", SETTINGS);
    home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    let world = World::up_in(home, &[("DOCKER_HOST", &host(engine.socket()))]).await;
    let mut start = world.home.command(&["start", "sleeper", "--yes", "--json"]).spawn().unwrap();
    let running = async { while world.run(&["list", "--json"]).await.json()[0]["state"] != "running" {} };
    soon("the bottle", running).await;
    let all = containers(engine.socket(), world.home.path()).await;
    docker(engine.socket(), &["kill", &all[0]]).await;
    let mut report = String::new();
    soon("its end", start.stdout.take().unwrap().read_to_string(&mut report)).await.unwrap();
    soon("its end", start.wait()).await.unwrap();
    assert!(report.contains("boundary_lost"), "{report}");
    let home = world.down().await;
    emptied(engine, &home).await;
}
