//! A session goes on in another bottle, on this host and on another (L3, L7).

use bus::layout::{BOTTLES, EVENTS};
use bus::message::event::Event;
use bus::role::Role;
use bus::{Bus, Since};
use harness::{Apart, Backend, Home, Ran, World, on_each_backend, soon};
use policy::EgressPolicy;
use serde_json::Value;

/// Tells what it is told, and adds a line to what it remembers.
const PROGRAM: &str = "echo \"session $BOT_BOTTLE_SESSION resumed ${BOT_BOTTLE_RESUMED:-0} told $(cat)\"
mkdir -p ../.state && echo \"$BOT_BOTTLE\" >> ../.state/log && cat ../.state/log && ls -A";

fn write(home: &Home, program: &str) {
    let bottle = serde_json::json!({
        "agent_provider":
            { "template": "command", "argv": ["sh", "-c", program], "session": { "paths": [".state"] } },
        "env": { "STORY": home.marker },
    });
    home.write_file("bottles/keeper.md", &format!("---\n{bottle}\n---\n"));
    home.write_file("agents/keeper.md", "---\nbottle: keeper\n---\n");
}

/// The one object that a command printed at its end.
fn ended(ran: &Ran) -> Value {
    ran.expect_code(0).json()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

on_each_backend!(
    a_session_goes_on_where_it_left_off,
    what_cannot_go_on_says_why_and_what_to_do,
    a_session_goes_on_on_another_host,
    without_a_bus_no_transcript_is_lost,
);

async fn a_session_goes_on_where_it_left_off(on: Backend) {
    let world = World::up_on(on).await;
    write(&world.home, PROGRAM);
    let first = ended(&world.run(&["start", "keeper", "--headless", "--prompt", "one", "--json"]).await);
    let (bottle, session) = (text(&first, "bottle"), text(&first, "session"));
    assert!(text(&first, "result").contains(&format!("session {session} resumed 0 told one\n{bottle}\n")));
    assert_eq!((text(&first, "state"), text(&first, "transcript")), ("removed", bottle));

    let second = ended(&world.run(&["resume", bottle, "--headless", "--prompt", "two", "--json"]).await);
    let next = text(&second, "bottle");
    let expected = format!("session {session} resumed 1 told two\n{bottle}\n{next}\n");
    assert!(text(&second, "result").contains(&expected), "{second}");
    assert_eq!(text(&second, "session"), session);
    // A person is told how to go on.
    let third = world.run(&["resume", next, "--yes"]).await;
    third.expect_code(0).expect_err("turn 3, from").expect_err("go on with `bot-bottle resume keeper-");

    let all = world.run(&["list", "--all", "--json"]).await.expect_code(0).json();
    let turns: Vec<_> =
        all.as_array().unwrap().iter().map(|record| record["session"]["turns"].clone()).collect();
    assert_eq!(turns, [1, 2, 3], "{all}");
    world.run(&["list", "--all"]).await.expect_code(0).expect_out("TURN").expect_out(session);
    let info = world.run(&["info", next]).await;
    info.expect_code(0)
        .expect_out(&format!("goes on from {bottle}"))
        .expect_out("turn 2")
        .expect_out("went on as");

    // Whoever goes on with an old turn would leave out what came after it.
    let old = world.run(&["resume", bottle, "--yes"]).await;
    old.expect_code(65).expect_err(&format!("went on as {next}"));
    let fresh = ended(&world.run(&["resume", bottle, "--headless", "--fresh", "--json"]).await);
    assert_ne!(text(&fresh, "session"), session);
    assert!(text(&fresh, "result").contains("resumed 0"), "{fresh}");
    let record = world.run(&["info", text(&fresh, "bottle"), "--json"]).await.expect_code(0).json();
    assert_eq!(record["session"]["turns"], 1);
    assert!(text(&record, "note").contains("a fresh session"), "{record}");
    world.down().await;
}

async fn what_cannot_go_on_says_why_and_what_to_do(on: Backend) {
    let world = World::up_on(on).await;
    write(&world.home, PROGRAM);
    world.home.write("forgetful", &["true"], &EgressPolicy::default());
    let first = ended(&world.run(&["start", "keeper", "--headless", "--json"]).await);
    let forgetful = ended(&world.run(&["start", "forgetful", "--headless", "--json"]).await);
    world.run(&["resume", "keeper-00000", "--yes"]).await.expect_code(66).expect_err("list --all");
    let without = world.run(&["resume", text(&forgetful, "bottle"), "--yes"]).await;
    without.expect_code(65).expect_err("without sessions");

    // A message says what it likes; the launcher looks it up.
    let bottle = text(&first, "bottle");
    let operator = operator(&world).await;
    for (part, words) in [
        (
            serde_json::json!({ "resume": { "bottle": bottle, "session": "made up" } }),
            "did not run the session made up",
        ),
        (serde_json::json!({ "resume": { "bottle": bottle } }), "by its id"),
        (
            serde_json::json!({ "resume": { "bottle": bottle, "session": text(&first, "session") }, "agent": "forgetful" }),
            "ran the agent keeper",
        ),
        (
            serde_json::json!({
                "resume": { "bottle": bottle, "session": text(&first, "session") }, "bottles": ["forgetful"]
            }),
            "other bottles",
        ),
        // As with a workspace that nobody uploaded.
        (
            serde_json::json!({ "workspace": { "archive": "nothing" } }),
            "the workspace nothing is not on the bus",
        ),
    ] {
        let failed = failure(&operator, &part).await;
        assert!(failed.contains(words), "{failed}");
    }

    // What the store does not have any more cannot go on.
    let launcher = connect(&world.home, Role::Launcher).await;
    launcher.objects(bus::layout::TRANSCRIPTS).delete(bottle).await.unwrap();
    let gone = world.run(&["resume", bottle, "--yes"]).await;
    gone.expect_code(65).expect_err("no transcript").expect_err("--fresh");
    world.run(&["resume", bottle, "--yes", "--fresh"]).await.expect_code(0);
    world.down().await;
}

/// Makes a request of these parts; the reason for which it fails.
async fn failure(operator: &Bus, parts: &Value) -> String {
    let mut events = operator.follow::<Event>(EVENTS, "bottle.>", Since::Now).await.unwrap();
    let id = base::id::RequestId::random();
    let mut request = serde_json::json!({ "v": 1, "id": id, "agent": "keeper" });
    request.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    let request: bus::message::start::StartRequest = serde_json::from_value(request).unwrap();
    operator.publish(&request).await.unwrap();
    loop {
        match soon("a failure", events.next()).await.unwrap().message.unwrap() {
            Event::Failed(failed) if failed.request == id => return failed.reason,
            Event::Exited(exited) if exited.request == id => panic!("it ran: {exited:?}"),
            _ => {}
        }
    }
}

async fn operator(world: &World) -> Bus {
    connect(&world.home, Role::Operator).await
}

async fn connect(home: &Home, role: Role) -> Bus {
    let status = home.run(&["status", "--json"]).await.json();
    let keys = bus::keys::Keys::load(home.path()).unwrap();
    let url = status["bus"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned();
    Bus::connect(bus::Connect::new(&url, keys.mint(role, None).unwrap())).await.unwrap()
}

/// Completes when the services of a bus answer, a launcher among them.
async fn answers(home: &Home, url: &str) {
    while !home.command(&["status"]).env("NATS_URL", url).output().await.unwrap().status.success() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Another host: a home with the same keys and manifests, and nothing else of the first.
fn another(home: &Home) -> Home {
    let other = Home::on(home.backend);
    for part in ["bus/keys", "bottles", "agents"] {
        let to = other.path().join(part);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = std::process::Command::new("cp").arg("-a").arg(home.path().join(part)).arg(&to).status();
        assert!(copied.unwrap().success(), "{part}");
    }
    other
}

async fn a_session_goes_on_on_another_host(on: Backend) {
    let mut apart = Apart::up_on(on).await;
    write(&apart.home, PROGRAM);
    let url = apart.url.clone();
    let run = async |home: &Home, arguments: &[&str]| {
        soon("services that answer", answers(home, &url)).await;
        let mut command = home.command(arguments);
        command.env("NATS_URL", &url);
        let output = soon("a command", command.output()).await.unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"))
    };
    let first = run(&apart.home, &["start", "keeper", "--headless", "--json"]).await;
    let bottle = text(&first, "bottle").to_owned();
    apart.stop_launcher().await;
    let other = another(&apart.home);
    apart.start_launcher_in(&other);
    let second = run(&other, &["resume", &bottle, "--headless", "--json"]).await;
    assert!(text(&second, "result").contains(&format!("resumed 1 told \n{bottle}\n")), "{second}");
    assert_eq!(text(&second, "session"), text(&first, "session"));
    let record = run(&other, &["info", text(&second, "bottle"), "--json"]).await;
    let before = run(&other, &["info", &bottle, "--json"]).await;
    assert_ne!(record["launcher"], before["launcher"]);
    apart.down().await;
}

async fn without_a_bus_no_transcript_is_lost(on: Backend) {
    let mut apart = Apart::up_on(on).await;
    write(&apart.home, "mkdir ../.state; echo kept > ../.state/log; until test -e go; do sleep 0.02; done");
    let bottle = apart.starts("keeper").await;
    let state = apart.home.path().join("state").join(bottle.as_str());
    let kept = || std::fs::read_to_string(state.join("home/.state/log")).is_ok_and(|text| text == "kept\n");
    soon("what it keeps", async {
        while !kept() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    apart.stop_bus().await;
    std::fs::write(state.join("home/workspace/go"), "").unwrap();
    apart.stop_launcher().await;
    assert!(state.join("home/.state/log").exists(), "{}", apart.log());

    apart.start_bus().await;
    apart.start_launcher();
    let operator = apart.connect(Role::Operator).await;
    let stored = soon("a transcript", async {
        loop {
            let found = operator.bucket(&BOTTLES).get(bottle.as_str()).await.unwrap();
            let session = found.and_then(|found| found.value.session);
            if let Some(name) = session.and_then(|session| session.transcript) {
                break name;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    let mut bytes = Vec::new();
    operator.objects(bus::layout::TRANSCRIPTS).get(&stored, &mut bytes).await.unwrap().unwrap();
    let place = tempfile::tempdir().unwrap();
    let limits = archive::Limits { bytes: 1000, entries: 10 };
    archive::unpack(&bytes[..], place.path(), "".as_ref(), archive::Odd::Refuse, limits).unwrap();
    assert_eq!(std::fs::read_to_string(place.path().join(".state/log")).unwrap(), "kept\n");
    apart.down().await;
}
