//! Launches over a real bus, with real boxes and a small sidecar. Needs bubblewrap, nats-server and Python.

use std::sync::{Arc, Mutex};

use crate::docker::{containers, docker};
use crate::support::LIMIT;
use crate::support::world::{World, in_each_world};
use base64::Engine as _;
use bus::message::record::BottleState;
use bus::message::run::{ExitReason, FailureKind, Output, StateKept};
use bus::message::start::StopRequest;
use launcher::step::Step;

in_each_world!(
    "current_thread":
    a_request_becomes_a_run_and_then_nothing,
    a_home_of_any_depth_and_mode_is_removed,
    the_steps_are_those_of_the_document,
    a_token_is_in_the_sidecar_and_nowhere_else,
    a_bottles_bus_identity_outlives_its_longest_run,
    a_failure_undoes_what_was_made_and_says_why,
    a_flood_of_output_is_cut_and_the_program_does_not_notice,
    no_shell_reads_a_command_or_a_task,
    a_malformed_request_is_parked_and_the_next_one_runs,
    runs_are_stopped_limited_and_ended_without_their_sidecar,
    a_stopped_launcher_hands_its_runs_back,
);

async fn a_request_becomes_a_run_and_then_nothing(world: World) {
    world.agent(
        &["sh", "-c", "cat; echo; echo $HTTPS_PROXY $PWD; cat $SSL_CERT_FILE | tail -n 3 >&2"],
        "env: {A: b}",
    );
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    let mut output = world.operator.subscribe::<Output>("bottle.output.*").await.unwrap();
    world.start("r1").await;

    let started = events.started().await;
    assert_eq!((started.request.as_str(), started.attempt, started.label.as_str()), ("r1", 1, "tester"));
    let exited = events.exited().await;
    assert_eq!((exited.code, exited.reason, exited.state), (0, ExitReason::Completed, StateKept::Removed));
    let said = "the task\nhttp://127.0.0.1:9099 /home/agent/workspace\n";
    assert_eq!(exited.result.as_deref(), Some(said));

    let piece = output.next().await.unwrap().message.unwrap();
    assert_eq!(piece.offset, 0);
    assert!(base64::engine::general_purpose::STANDARD.decode(piece.data).is_ok());
    assert!(world.left().is_empty(), "{:?}", world.left());
    let record =
        world.operator.bucket(&bus::layout::BOTTLES).get(exited.bottle.as_str()).await.unwrap().unwrap();
    assert_eq!((record.value.state, record.value.code), (BottleState::Exited, Some(0)));
    // The same id again starts nothing.
    let again = world.operator.publish(&crate::support::world::request("r1")).await.unwrap();
    assert!(again.duplicate);
    launcher.stop().await;
    world.end().await;
}

async fn a_home_of_any_depth_and_mode_is_removed(world: World) {
    let script = "
import os
os.makedirs('shut/a'); open('shut/a/b', 'w').close(); os.chmod('shut/a', 0); os.chmod('shut', 0)
for _ in range(16000): os.mkdir('d'); os.chdir('d')
";
    world.agent(&["/usr/bin/python3", "-c", script], "");
    let launcher = world.launcher().await;
    let exited = world.run("r1").await;
    assert_eq!((exited.code, exited.state), (0, StateKept::Removed));
    assert!(world.left().is_empty(), "{:?}", world.left());
    launcher.stop().await;
    world.end().await;
}

async fn the_steps_are_those_of_the_document(world: World) {
    let seen: Arc<Mutex<Vec<Step>>> = Arc::default();
    let record = seen.clone();
    let observer: launcher::Observer = Arc::new(move |_, step| {
        record.lock().unwrap().push(step);
        Box::pin(std::future::ready(()))
    });
    world.agent(&["true"], "");
    let launcher = world.launcher_with(|_| (), observer).await;
    let mut events = world.events().await;
    world.start("r1").await;
    let times: Vec<String> = events.started().await.steps.into_iter().map(|time| time.step).collect();
    events.exited().await;
    launcher.stop().await;
    world.end().await;

    let page = include_str!("../../../../docs/launcher.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("## Step "));
    let documented: Vec<String> = headings
        .enumerate()
        .map(|(place, heading)| {
            let (number, name) = heading.split_once(": ").unwrap();
            assert_eq!(number, (place + 1).to_string());
            name.to_lowercase()
        })
        .collect();
    let all: Vec<&str> = Step::ALL.iter().map(|step| step.as_str()).collect();
    assert_eq!(documented, all);
    // Nothing exists yet when the request is resolved, so nobody is told of that step; it is timed all the same.
    assert_eq!(*seen.lock().unwrap(), Step::ALL[1..]);
    assert_eq!(times, all[..7]);
}

async fn a_token_is_in_the_sidecar_and_nowhere_else(world: World) {
    let token: String = (0..40).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    // Looks through everything that the agent can read, and asks the sidecar whether it has the token.
    let script = format!(
        "
import os, socket
word = bytes(ord(c) ^ 1 for c in '{}')
found = []
def look(path):
    try:
        with open(path, 'rb') as f:
            if word in f.read(1 << 22): found.append(path)
    except OSError: pass
for name, value in os.environb.items():
    if word in value: found.append(name)
for top in ('/etc', '/home', '/run', '/tmp', '/var', '/dev/shm', '/.bot-bottle'):
    for directory, _, names in os.walk(top):
        for name in names: look(os.path.join(directory, name))
for process in filter(str.isdigit, os.listdir('/proc')):
    for name in ('environ', 'cmdline', 'maps', 'mountinfo', 'status'): look('/proc/%s/%s' % (process, name))
def count(name, port):
    peer = socket.create_connection((name, port), 5); peer.sendall(b'count')
    return peer.recv(100).decode()
print(found, count('egress', 9099), count('gitgate', 9420))
",
        // The script itself must not hold the token.
        token
            .bytes()
            .map(|byte| char::from(byte ^ 1))
            .collect::<String>()
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
    );
    let routes = "egress: {routes: [{host: api.example, auth: {scheme: Bearer, token_ref: THE_TOKEN}}]}";
    // As a git token of another sidecar, too.
    let repos = "git-gate: {repos: {tools: {url: https://git.example/tools, token_ref: THE_TOKEN}}}";
    world.agent(&["/usr/bin/python3", "-c", &script], &format!("{routes}\n{repos}"));
    let host = [("THE_TOKEN".to_owned(), token.clone())].into_iter().collect();
    let seen_outside: Arc<Mutex<Vec<String>>> = Arc::default();
    let (outside, word, home) = (seen_outside.clone(), token.clone(), world.home.path().to_owned());
    let observer: launcher::Observer = Arc::new(move |_, _| {
        outside.lock().unwrap().extend(places_on_the_host(&home, &word));
        Box::pin(std::future::ready(()))
    });
    let launcher = world.launcher_with(|config| config.environment = host, observer).await;
    let exited = world.run("r1").await;
    launcher.stop().await;
    assert_eq!(exited.result.as_deref(), Some("[] 1 secrets 1 secrets\n"));
    assert_eq!(*seen_outside.lock().unwrap(), Vec::<String>::new());
    // The bus keeps its streams below the home.
    assert_eq!(places_on_the_host(world.home.path(), &token), Vec::<String>::new());
    world.end().await;
}

/// Files below `home`, and command lines and environments of processes, that hold the word.
fn places_on_the_host(home: &std::path::Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![home.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.is_symlink() {
            open.extend(std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if holds(&path, word) {
            found.push(path.display().to_string());
        }
    }
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let paths = ["cmdline", "environ"].map(|name| process.path().join(name));
        found.extend(paths.iter().filter(|path| holds(path, word)).map(|path| path.display().to_string()));
    }
    found
}

fn holds(path: &std::path::Path, word: &str) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
}

async fn a_bottles_bus_identity_outlives_its_longest_run(world: World) {
    let launcher = world.launcher().await;
    let ask = "import socket; s = socket.create_connection(('egress', 9099), 5); s.sendall(b'left'); print(s.recv(100).decode())";
    for (id, limits, days) in [("r1", "", 7), ("r2", "limits: {wall_time: 30d}", 30)] {
        world.agent(&["/usr/bin/python3", "-c", ask], limits);
        let left: u64 = world.run(id).await.result.unwrap().trim().parse().unwrap();
        let (run, slack) = (days * 86_400, 60 * 60);
        assert!((run + slack / 2..=run + slack).contains(&left), "{days} days: {left} seconds");
    }
    launcher.stop().await;
    world.end().await;
}

async fn a_failure_undoes_what_was_made_and_says_why(world: World) {
    let given = format!("{:032x}", rand::random::<u128>());
    let host = [("GIVEN".to_owned(), given.clone())].into_iter().collect();
    let launcher = world.launcher_with(|config| config.environment = host, launcher::world::nobody()).await;
    let mut events = world.events().await;
    let route = |host: &str, more: &str| format!("egress: {{routes: [{{host: {host}{more}}}]}}");
    for (id, argv, more, kind, words) in [
        (
            "r1",
            "no-such-program",
            String::new(),
            FailureKind::Run,
            "in none of the bottle's PATH directories",
        ),
        ("r2", "true", route("refused.example", ""), FailureKind::Sidecar, "this route is refused"),
        (
            "r3",
            "true",
            route("a.example", ", auth: {scheme: Bearer, token_ref: UNSET}"),
            FailureKind::Secret,
            "UNSET is not set",
        ),
        (
            "r5",
            "true",
            // The value of the variable that the route names, where the agent would see it.
            format!(
                "env: {{X: 'a{given}b'}}\n{}",
                route("a.example", ", auth: {scheme: Bearer, token_ref: GIVEN}")
            ),
            FailureKind::Secret,
            "env X: its value holds a token",
        ),
        ("r4", "true", "enviroment: {}".to_owned(), FailureKind::Manifest, "enviroment"),
    ] {
        world.agent(&[argv], &more);
        world.start(id).await;
        let failed = events.failed().await;
        assert_eq!((failed.request.as_str(), failed.kind), (id, kind), "{failed:?}");
        assert!(failed.reason.contains(words), "{}", failed.reason);
        assert!(world.left().is_empty(), "{:?}", world.left());
    }
    launcher.stop().await;
    world.end().await;
}

async fn a_flood_of_output_is_cut_and_the_program_does_not_notice(world: World) {
    world.agent(&["sh", "-c", "head -c 400000 /dev/zero | tr '\\0' x; echo end"], "");
    let launcher = world.launcher_with(|config| config.output = 100_000, launcher::world::nobody()).await;
    let mut output = world.operator.subscribe::<Output>("bottle.output.*").await.unwrap();
    let exited = world.run("r1").await;
    assert!(exited.result.unwrap().ends_with("xend\n"));
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).ends_with("\n… output cut here\n") {
        let piece = tokio::time::timeout(LIMIT, output.next()).await.unwrap().unwrap().message.unwrap();
        said.extend(base64::engine::general_purpose::STANDARD.decode(piece.data).unwrap());
        assert!(said.len() < 100_100);
    }
    launcher.stop().await;
    world.end().await;
}

async fn no_shell_reads_a_command_or_a_task(world: World) {
    let hostile = "$(touch /tmp/x) `id` ; echo \"'&|<>*? $HOME\\n";
    world.agent_with(&["printf", "%s|", hostile], "prompt: argument", "");
    let launcher = world.launcher().await;
    let mut request = crate::support::world::request("r1");
    request.task = Some(hostile.to_owned());
    let mut events = world.events().await;
    world.operator.publish(&request).await.unwrap();
    assert_eq!(events.exited().await.result, Some(format!("{hostile}|{hostile}|")));
    launcher.stop().await;
    world.end().await;
}

async fn a_malformed_request_is_parked_and_the_next_one_runs(world: World) {
    world.agent(&["true"], "");
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world
        .operator
        .publish(&Raw(serde_json::json!({"id": "x", "agent": "tester", "route": "*"})))
        .await
        .unwrap();
    let failed = events.failed().await;
    assert_eq!((failed.request.as_str(), failed.kind), ("malformed-1", FailureKind::Malformed));
    assert!(failed.reason.contains("route"), "{}", failed.reason);
    world.start("r1").await;
    assert_eq!(events.exited().await.code, 0);
    launcher.stop().await;
    world.end().await;
}

/// Any JSON, where a start request should be.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
struct Raw(serde_json::Value);

impl bus::message::Message for Raw {
    const PATTERN: &'static str = "bottle.start";
    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }
}

async fn runs_are_stopped_limited_and_ended_without_their_sidecar(world: World) {
    let launcher = world.launcher().await;
    let sleep = "trap 'exit 5' TERM; echo ready; sleep 1000 & wait";
    let die =
        "import socket, time; socket.create_connection(('egress', 9099)).sendall(b'die'); time.sleep(1000)";

    world.agent(&["sh", "-c", sleep], "");
    let mut events = world.events().await;
    let mut output = world.operator.subscribe::<Output>("bottle.output.*").await.unwrap();
    world.start("r1").await;
    let bottle = events.started().await.bottle;
    output.next().await.unwrap();
    let stop = StopRequest { v: Default::default(), bottle: bottle.clone(), grace_ms: None };
    let reply = world.operator.request(&stop, LIMIT).await.unwrap();
    assert!(reply.stopping, "{reply:?}");
    let exited = events.exited().await;
    assert_eq!((exited.reason, exited.code, exited.state), (ExitReason::Stopped, 5, StateKept::Kept));
    let reply = world.operator.request(&stop, LIMIT).await.unwrap();
    assert!(!reply.stopping && reply.reason.unwrap().contains("does not run"));

    world.agent(&["sh", "-c", sleep], "limits: {wall_time: 1s}");
    assert_eq!(world.run("r2").await.reason, ExitReason::TimeLimit);

    world.agent(&["sh", "-c", "head -c 20000000 /dev/zero > x; exec sleep 1000"], "limits: {disk: 8M}");
    let exited = world.run("r5").await;
    assert_eq!((exited.reason, exited.state), (ExitReason::DiskLimit, StateKept::Kept));
    let record =
        world.operator.bucket(&bus::layout::BOTTLES).get(exited.bottle.as_str()).await.unwrap().unwrap();
    assert!(record.value.note.unwrap().contains("disk: the home grew over its limit of 8 MiB"));

    world.agent(&["/usr/bin/python3", "-c", die], "");
    let exited = world.run("r3").await;
    assert_eq!((exited.reason, exited.code), (ExitReason::SidecarLost, 137));

    world.agent(&["sh", "-c", sleep], "");
    world.start("r4").await;
    let bottle = events.started_of("r4", 1).await.bottle;
    kill_init(&world, &world.home.path().join("state").join(bottle.as_str()));
    let exited = events.exited_of("r4").await;
    assert_eq!((exited.reason, exited.code, exited.state), (ExitReason::BoundaryLost, 137, StateKept::Kept));
    launcher.stop().await;
    world.end().await;
}

/// As the host's memory killer may.
fn kill_init(world: &World, state: &std::path::Path) {
    if let Some(engine) = world.engine {
        for container in containers(engine, world.home.path()) {
            let pid = docker(engine, &["inspect", "--format", "{{.State.Pid}}", &container]);
            let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        return;
    }
    let recorded = std::fs::read(state.join("namespace.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_slice(&recorded).unwrap();
    for process in recorded["processes"].as_array().unwrap() {
        let pid = i32::try_from(process["pid"].as_i64().unwrap()).unwrap();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        if command.starts_with(launcher::backend::INIT) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
}

async fn a_stopped_launcher_hands_its_runs_back(world: World) {
    world.agent(&["sleep", "1000"], "");
    let first = world.launcher().await;
    let mut events = world.events().await;
    world.start("r1").await;
    let lost = events.started().await.bottle;
    first.stop().await;
    assert!(world.left().is_empty(), "{:?}", world.left());
    world.agent(&["true"], "");
    let second = world.launcher().await;
    // An event may be heard twice.
    let again = loop {
        let started = events.started().await;
        if started.bottle != lost {
            break started;
        }
    };
    // A try that was ended on purpose does not count.
    assert_eq!((again.request.as_str(), again.attempt), ("r1", 1));
    assert_eq!(events.exited().await.bottle, again.bottle);
    second.stop().await;
    let record = world.operator.bucket(&bus::layout::BOTTLES).get(lost.as_str()).await.unwrap().unwrap();
    assert_eq!(record.value.state, BottleState::Lost);
    world.end().await;
}
