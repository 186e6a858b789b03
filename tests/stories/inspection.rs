//! Whoever may look at an engine, but not into a sidecar, finds no secret of a bottle that runs there (invariant 2).

use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use engine::{Engine, Options};
use harness::{Backend, Home, World, docker, soon};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Shows its canary, and waits to be looked at.
const AGENT: &str = "
import os, time
print(next(value for value in os.environ.values() if len(value) == 40 and value.isalnum()), flush=True)
time.sleep(600)
";

/// Something that must be nowhere.
struct Secret {
    what: String,
    forms: Vec<String>,
}

impl Secret {
    fn new(what: impl Into<String>, value: &str) -> Self {
        let mut forms = vec![value.to_owned(), value.bytes().map(|byte| format!("{byte:02x}")).collect()];
        for before in 0..3 {
            let text = [&vec![b'x'; before][..], value.as_bytes()].concat();
            for alphabet in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
                let coded = alphabet.encode(&text);
                // What its neighbours have a part in may be anything.
                let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
                forms.push(coded[first..last].to_owned());
            }
        }
        Self { what: what.into(), forms }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let has = |form: &String| text.windows(form.len()).any(|window| window == form.as_bytes());
        self.forms.iter().any(has)
    }
}

/// A random text that no detector knows by its looks.
fn made_up() -> String {
    format!("{}-{}", base::id::ExchangeId::random(), base::id::ExchangeId::random())
}

/// A home with a bottle of an image of its own, whose sidecars have a token and two keys.
fn home(on: Backend) -> (Home, Vec<Secret>, [(&'static str, String); 2]) {
    let home = Home::on(on);
    let key = home.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()])
        .status();
    assert!(made.unwrap().success());
    let (token, forge) = (made_up(), made_up());
    let route =
        json!({ "host": "api.example.com", "auth": { "scheme": "Bearer", "token_ref": "STORY_TOKEN" } });
    let host_key =
        concat!("ssh-ed25519 ", "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let repos = json!({
        "tools": { "url": "ssh://git@127.0.0.1:1/team/tools.git", "host_key": host_key,
            "key": { "provider": "static", "path": key } },
        "docs": { "url": "https://127.0.0.1:1/team/docs.git", "token_ref": "FORGE_TOKEN" },
    });
    let bottle = json!({
        "agent_provider": { "template": "command", "argv": ["/usr/bin/python3", "-c", AGENT] },
        "env": { "STORY": home.marker }, "egress": { "routes": [route] }, "git-gate": { "repos": repos },
        "image": { "dockerfile": "images/Dockerfile" },
    });
    home.write_file("bottles/holder.md", &format!("---\n{bottle}\n---\n"));
    home.write_file("agents/holder.md", "---\nbottle: holder\n---\n");
    let mut secrets = vec![Secret::new("the token", &token), Secret::new("the forge's token", &forge)];
    let key = std::fs::read_to_string(key).unwrap();
    let lines = key.lines().filter(|line| !line.starts_with("-----"));
    secrets.extend(
        lines.enumerate().map(|(number, line)| Secret::new(format!("line {number} of the key"), line)),
    );
    (home, secrets, [("STORY_TOKEN", token), ("FORGE_TOKEN", forge)])
}

/// The keys of the bus, from which every identity on it is made; and how keys and identities begin.
fn of_the_bus(home: &Path) -> Vec<Secret> {
    let keys = home.join("bus/keys").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut secrets: Vec<Secret> = keys
        .map(|path| Secret::new(path.display().to_string(), std::fs::read_to_string(&path).unwrap().trim()))
        .collect();
    assert!(secrets.len() > 3);
    secrets.push(Secret::new("a private key", concat!("PRIVATE ", "KEY-----")));
    secrets.push(Secret::new("an identity on the bus", r#"{"typ":"JWT""#));
    secrets
}

/// What the engine tells of everything that it has, and what it keeps about it: a name, and the text.
async fn told(engine: &Engine) -> Vec<(String, Vec<u8>)> {
    let mut told = Vec::new();
    let mut ids = Vec::new();
    for list in [&["ps", "--all"][..], &["image", "ls", "--all"], &["volume", "ls"], &["network", "ls"]] {
        let found = docker(engine.socket(), &[list, &["--quiet"]].concat()).await;
        for id in found.lines() {
            let text = docker(engine.socket(), &["inspect", id]).await;
            told.push((format!("{} {id}", list[0]), text.into_bytes()));
            if list[0] == "image" {
                let text = docker(engine.socket(), &["history", "--no-trunc", id]).await;
                told.push((format!("history {id}"), text.into_bytes()));
            }
        }
        ids.push(found.lines().count());
    }
    let [containers, images, volumes, networks] = ids[..] else { panic!("{ids:?}") };
    // Those of the engine itself: `bridge`, `host` and `none`.
    assert_eq!((containers, volumes, networks), (1, 0, 3));
    assert!(images > 2, "the base, what was built on it, and what a build left: {images}");
    let id = docker(engine.socket(), &["ps", "--quiet"]).await;
    let built = docker(engine.socket(), &["exec", id.trim(), "cat", "/of-the-build"]).await;
    assert!(built.contains("PATH="), "{built}");
    told.push(("the environment of the build".to_owned(), built.into_bytes()));
    let place = engine.socket().parent().unwrap();
    let files = "find \"$0\"/data/containers \"$0\"/data/image \"$0\"/exec -type f -size -200k -exec cat {} +; cat \"$0\"/log";
    let kept = engine.within("sh").args(["-c", files]).arg(place).output().unwrap();
    assert!(kept.stdout.len() > 10_000, "{kept:?}");
    told.push(("what the engine keeps".to_owned(), kept.stdout));
    told
}

/// The arguments and environments of every process that is in a container, or that belongs to the engine.
async fn processes(engine: &Engine) -> (Vec<u32>, Vec<(u32, Vec<u8>, Vec<u8>)>) {
    let id = docker(engine.socket(), &["ps", "--quiet", "--no-trunc"]).await;
    let inside = docker(engine.socket(), &["top", id.trim(), "-eo", "pid"]).await;
    let inside: Vec<u32> = inside.lines().skip(1).map(|line| line.trim().parse().unwrap()).collect();
    let place = engine.socket().parent().unwrap().to_str().unwrap().to_owned();
    let all = inside.iter().copied().chain(harness::mentioning(&place));
    let read = |pid: u32, name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    (inside.clone(), all.map(|pid| (pid, read(pid, "cmdline"), read(pid, "environ"))).collect())
}

#[tokio::test]
async fn no_container_image_or_process_of_an_engine_shows_a_secret() {
    let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let (home, mut secrets, variables) = home(Backend::of(&engine));
    let environment = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let world = World::up_in(home, &environment).await;
    secrets.extend(of_the_bus(world.home.path()));
    let start = ["start", "holder", "--yes"];
    // A build that fails, and then one that does not: neither leaves anything that tells.
    world.home.write_file("images/Dockerfile", "FROM debian:bookworm-slim\nRUN env; false\n");
    world.run(&start).await.expect_code(71);
    world
        .home
        .write_file("images/Dockerfile", "FROM debian:bookworm-slim\nRUN env > /of-the-build\nRUN true\n");
    let mut running = world.home.command(&start).spawn().unwrap();
    let mut words = BufReader::new(running.stdout.take().unwrap()).lines();
    let canary =
        soon("its canary", words.next_line()).await.unwrap().unwrap_or_else(|| panic!("{}", world.log()));
    let canary = Secret::new("the canary", &canary);

    let (told, (inside, processes)) = (told(&engine).await, processes(&engine).await);
    for (place, text) in &told {
        for secret in secrets.iter().chain([&canary]) {
            assert!(!secret.is_in(text), "{} is in {place}", secret.what);
        }
    }
    assert!(inside.len() >= 2, "init and the agent: {inside:?}");
    for (pid, arguments, variables) in &processes {
        assert!(!arguments.is_empty(), "{pid} has ended");
        for secret in &secrets {
            assert!(!secret.is_in(arguments), "{} is an argument of {pid}", secret.what);
            assert!(!secret.is_in(variables), "{} is in the environment of {pid}", secret.what);
        }
        assert!(!canary.is_in(arguments), "the canary is an argument of {pid}");
    }
    // The canary is of no use, and stands where a secret would: what was looked through has what it is said to have.
    let seen: Vec<u32> =
        processes.iter().filter(|(_, _, all)| canary.is_in(all)).map(|(pid, ..)| *pid).collect();
    assert!(!seen.is_empty() && seen.iter().all(|pid| inside.contains(pid)), "{seen:?} {inside:?}");

    let list = world.run(&["list", "--json"]).await.json();
    world.run(&["stop", list[0]["bottle"].as_str().unwrap(), "--grace", "1"]).await.expect_code(0);
    soon("its end", running.wait()).await.unwrap();
    let home = world.down().await;
    home.run(&["cleanup", "--all"]).await.expect_code(0).expect_out("removed the image bot-bottle/agent:");
}

#[test]
fn a_secret_is_found_in_its_disguises() {
    let secret = Secret::new("it", "made-up-secret/with?all");
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}made-up-secret/with?all and more");
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        for found in
            [&text, &BASE64_STANDARD_NO_PAD.encode(&text), &BASE64_URL_SAFE_NO_PAD.encode(&text), &hex]
        {
            assert!(secret.is_in(found.as_bytes()), "{found}");
        }
    }
    assert!(!secret.is_in(b"made-up-secret/without"));
}
