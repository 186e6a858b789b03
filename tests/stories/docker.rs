//! Bottles that are containers (L4, L12). The Docker engine is the tests' own.

use engine::Options;
use harness::{Engine, Home, World, containers, docker, host, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Asks what it may and what it may not, and waits to be looked at.
const AGENT: &str = r#"
curl -sS http://api.example.com/hello; echo
curl -sS -o /dev/null -w '%{http_code}\n' http://elsewhere.example.com/
cat /etc/hostname
read -r _ < /home/agent/never || sleep 600
"#;

/// Says which authorization it was shown.
pub(crate) async fn origin() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
                let count = stream.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                seen.extend_from_slice(&buffer[..count]);
            }
            let seen = String::from_utf8_lossy(&seen).to_lowercase();
            let shown = seen.contains("authorization: bearer of-the-docker-story");
            let answer = if shown { "it was shown" } else { "it was not shown" };
            let length = answer.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn it_asks_through_its_proxy_and_no_container_or_image_holds_the_token() {
    // Every image of an engine is looked at, and others would come and go meanwhile.
    let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let token = "of-the-docker-story";
    let world = World::up_with(&[("DOCKER_HOST", &host(engine.socket())), ("STORY_TOKEN", token)]).await;
    let (port, _origin) = origin().await;
    let route = serde_json::json!({
        "host": "api.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{port}"),
        "allow_private": ["127.0.0.0/8"], "auth": {"scheme": "Bearer", "token_ref": "STORY_TOKEN"},
    });
    let policy: EgressPolicy = serde_json::from_value(serde_json::json!({ "routes": [route] })).unwrap();
    world.home.write("asker", &["sh", "-c", AGENT], &policy);
    let mut start = world.home.command(&["start", "asker", "--yes", "--backend", "docker"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    let mut word = async || soon("its word", words.next_line()).await.unwrap().unwrap();
    assert_eq!([word().await, word().await], ["it was shown", "403"]);
    let list = world.run(&["list", "--json"]).await.json();
    assert_eq!(list[0]["backend"], "docker", "{list}");
    let bottle = list[0]["bottle"].as_str().unwrap().to_owned();
    assert_eq!(word().await, bottle);
    world.run(&["status"]).await.expect_out("namespace, docker");

    let all = containers(engine.socket(), world.home.path()).await;
    assert_eq!(all.len(), 1);
    let images = docker(engine.socket(), &["image", "ls", "--quiet", "--no-trunc"]).await;
    let everything: Vec<&str> = all.iter().map(String::as_str).chain(images.lines()).collect();
    let inspected = docker(engine.socket(), &[&["inspect"], &everything[..]].concat()).await;
    assert!(inspected.contains(&bottle) && inspected.contains("\"NetworkMode\": \"none\""), "{inspected}");
    assert!(!inspected.contains(token), "a container or image holds the token: {inspected}");

    world.run(&["stop", &bottle, "--grace", "1"]).await.expect_code(0);
    soon("its end", start.wait()).await.unwrap();
    assert_eq!(containers(engine.socket(), world.home.path()).await, Vec::<String>::new());
    world.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_is_a_lost_bottle_and_nothing_is_left_once_it_is_back() {
    let Some(engine) = Engine::start(&Options { base: true, ..Default::default() }) else {
        return;
    };
    let home = Home::empty();
    home.write_file("settings.yaml", "backend: docker\n");
    home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    let mut start = home.command(&["start", "sleeper", "--yes", "--json"]);
    let mut start = start.env("DOCKER_HOST", host(engine.socket())).spawn().unwrap();
    let running = async {
        loop {
            let list = home.run(&["list", "--json"]).await;
            if list.code == 0 && list.json()[0]["state"] == "running" {
                return;
            }
        }
    };
    soon("the bottle", running).await;
    tokio::task::block_in_place(|| engine.kill());
    let mut report = String::new();
    soon("its end", start.stdout.take().unwrap().read_to_string(&mut report)).await.unwrap();
    soon("its end", start.wait()).await.unwrap();
    assert!(report.contains("boundary_lost"), "{report}");
    tokio::task::block_in_place(|| engine.start_again());
    let mut cleanup = home.command(&["cleanup", "--all"]);
    let cleaned = cleanup.env("DOCKER_HOST", host(engine.socket())).output().await.unwrap();
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stdout));
    assert_eq!(containers(engine.socket(), home.path()).await, Vec::<String>::new());
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn an_engine_elsewhere_or_nowhere_is_refused_and_namespaces_go_on() {
    let home = Home::empty();
    home.write("quiet", &["true"], &EgressPolicy::default());
    for (address, words) in [
        ("tcp://127.0.0.1:1", "only on an engine of this host"),
        ("ssh://me@elsewhere", "only on an engine of this host"),
        ("unix:///nowhere/docker.sock", "nothing listens there"),
    ] {
        for (backend, code) in [("docker", 78), ("namespace", 0)] {
            let mut start = home.command(&["start", "quiet", "--yes", "--backend", backend]);
            let ended = start.env("DOCKER_HOST", address).output().await.unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(code), "{address} {backend}: {said}");
            assert!(code == 0 || said.contains(words), "{said}");
        }
    }
}

/// What a command of the home says, with its exit code, beside this engine.
async fn beside(engine: &Engine, home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let run = home.command(arguments).env("DOCKER_HOST", host(engine.socket())).output().await.unwrap();
    let said = [&run.stdout[..], &run.stderr[..]].concat();
    (run.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_bottle_is_made_of_its_own_image_which_goes_with_a_cleanup() {
    let Some(engine) = Engine::shared() else { return };
    let home = Home::empty();
    let bottle = |image: &str| {
        let provider = "{template: command, argv: [cat, /of-the-bottle], prompt: none}";
        home.write_file("bottles/own.md", &format!("---\nagent_provider: {provider}\nimage: {image}\n---\n"));
    };
    let built = "{dockerfile: images/Dockerfile}";
    bottle(built);
    home.write_file("agents/own.md", "---\nbottle: own\n---\n");
    home.write_file("images/Dockerfile", "FROM debian:bookworm-slim\nRUN echo its own > /of-the-bottle\n");
    let start = ["start", "own", "--yes", "--headless"];
    for is_built in [true, false] {
        let (code, said) = beside(engine, &home, &start).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("its own\n"), "{said}");
        assert_eq!(said.contains("Step 2/"), is_built, "{said}");
    }
    let (code, said) = beside(engine, &home, &["cleanup", "--all"]).await;
    assert_eq!((code, said.matches("removed the image bot-bottle/agent:").count()), (Some(0), 1), "{said}");

    home.write_file("images/Dockerfile", "FROM debian:bookworm-slim\nRUN echo the reason; false\n");
    let (code, said) = beside(engine, &home, &start).await;
    assert!(code == Some(71) && said.contains("the reason"), "{code:?} {said}");
    bottle("{name: 'nobody/has-this:1'}");
    let (code, said) = beside(engine, &home, &start).await;
    assert!(code == Some(71) && said.contains("nobody/has-this:1 is not on the engine"), "{code:?} {said}");
    assert_eq!(containers(engine.socket(), home.path()).await, Vec::<String>::new());
}
