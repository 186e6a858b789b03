//! A bottle's image lacks something: its agent proposes another Dockerfile, a person answers, and a resume goes on in what was
//! built (S7).

use harness::{Engine, Home, World, soon};
use serde_json::{Value, json};

use crate::committing::{Bottle, archives, cleanup, docker, host, operator, text, write};

/// Says what it finds; the first time it calls what it is told to call, and says what it was answered.
const AGENT: &str = "cat /of-the-image 2> /dev/null; test -e made && { cat made; tool; exit 0; }
echo 'it was made' > made; touch ready
post() {
  curl -sS --noproxy '*' -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\
    ${SESSION:+-H} ${SESSION:+Mcp-Session-Id:$SESSION} -D head --data-binary \"$1\" http://supervise:9100/
}
post '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\",
  \"capabilities\":{},\"clientInfo\":{\"name\":\"story\",\"version\":\"0\"}}}' > begun
SESSION=$(sed -n 's/^mcp-session-id: *//Ip' head | tr -d '\\r')
post '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}' >> begun; n=1
until test -e go; do
  if test -e ask-$n; then post @ask-$n > part 2>&1; mv part answer-$n; n=$((n+1)); fi
  sleep 0.05
done";

const FIRST: &str = "FROM debian:bookworm-slim\nCOPY own.txt /own.txt\nRUN echo first > /of-the-image\n";

/// An agent that calls tools.
struct Agent {
    bottle: Bottle,
    calls: u32,
}

impl Agent {
    async fn start(world: &World, backend: &str) -> Self {
        let bottle = Bottle::start(world, &["start", "asker", "--backend", backend]).await;
        Self { bottle, calls: 0 }
    }

    /// Calls a tool, and returns what the agent reads.
    async fn calls(&mut self, tool: &str, arguments: Value) -> Value {
        self.calls += 1;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } });
        let (place, name) = (&self.bottle.workspace, format!("ask-{}", self.calls));
        std::fs::write(place.join("part-of-it"), call.to_string()).unwrap();
        std::fs::rename(place.join("part-of-it"), place.join(name)).unwrap();
        let answer = place.join(format!("answer-{}", self.calls));
        soon("an answer", async {
            while !answer.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        let said = std::fs::read_to_string(&answer).unwrap();
        let data = said.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
        let messages = data.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = messages.into_iter().find(|message| message.get("id").is_some());
        found.unwrap_or_else(|| panic!("no answer in {said}"))["result"].clone()
    }

    async fn wants(&mut self, world: &World, dockerfile: &str) -> Value {
        let arguments = json!({ "dockerfile": dockerfile, "justification": "the task needs the tool", "wait_seconds": 0 });
        let answer = self.calls("capability-block", arguments).await;
        // A tool does not wait long for a supervisor to take up what it asks.
        let id = text(&answer["structuredContent"], "proposal");
        soon("the proposal", async { while world.run(&["proposals", "show", id]).await.code == 66 {} }).await;
        answer
    }
}

fn prepare(home: &Home) {
    home.write_file("images/Dockerfile", FIRST);
    home.write_file("images/own.txt", "of the operator\n");
    home.write_file("images/other.txt", "not meant for an image\n");
    write(home, "asker", AGENT, &[("image", json!({ "dockerfile": "images/Dockerfile" }))]);
}

/// The text that an agent reads.
fn words(answer: &Value) -> &str {
    text(&answer["content"][0], "text")
}

#[tokio::test]
async fn what_is_approved_is_built_and_a_resume_has_it() {
    let Some(engine) = Engine::shared() else { return };
    let home = Home::empty();
    prepare(&home);
    let world = World::up_in(home, &[("DOCKER_HOST", &host(engine))]).await;
    let mut agent = Agent::start(&world, "docker").await;
    let name = agent.bottle.name.clone();

    // One that cannot be built waits on, with the last lines of the build, and nothing is kept of it.
    let tool = "RUN printf '#!/bin/sh\\necho the tool works\\n' > /usr/local/bin/tool && chmod 755 /usr/local/bin/tool";
    let broken = format!("{FIRST}RUN echo the reason; false\n{tool}\n");
    let asked = agent.wants(&world, &broken).await;
    assert_eq!(asked["structuredContent"]["status"], "pending", "{asked}");
    let proposal = text(&asked["structuredContent"], "proposal").to_owned();
    let shown = world.run(&["proposals", "show", &proposal]).await;
    shown.expect_code(0).expect_out("+ RUN echo the reason; false").expect_out("    RUN echo first");
    shown.expect_out("the task needs the tool");
    assert!(!shown.out.contains("+ FROM"), "what stays is shown as new: {}", shown.out);
    let failed = world.run(&["proposals", "approve", &proposal]).await;
    failed.expect_code(1).expect_err("the change was not applied").expect_err("\n  the reason\n");
    let shown = world.run(&["proposals", "show", &proposal]).await;
    shown.expect_code(0).expect_out("waits for you").expect_out("  the reason");
    assert_eq!(archives(&operator(&world).await).await, Vec::<String>::new());
    let pins = docker(engine, &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).await;
    assert!(!pins.contains(&name), "{pins}");

    // What the operator makes of it is built, and nothing else.
    let edited = json!({ "dockerfile": format!("{FIRST}RUN echo second > /of-the-image\n{tool}\n") });
    world.home.write_file("edit.yaml", &edited.to_string());
    let file = world.home.path().join("edit.yaml");
    let edit = ["proposals", "edit", &proposal, "--file", file.to_str().unwrap(), "--yes"];
    let done = world.run(&edit).await;
    done.expect_code(0)
        .expect_out("modified")
        .expect_out(&format!("go on in it with `bot-bottle resume {name}`"));
    done.expect_err("+ RUN echo second > /of-the-image");
    let told = agent.calls("wait", json!({ "proposal": proposal, "wait_seconds": 5 })).await;
    assert!(words(&told).contains("Approved with changes") && words(&told).contains("was built"), "{told}");
    let record = world.run(&["info", &name, "--json"]).await.json();
    assert_eq!(record["commit"]["image"]["dockerfile"], edited["dockerfile"]);

    // A commit after it keeps what was approved.
    let again = world.run(&["commit", &name, "--json"]).await.expect_code(0).json();
    assert_eq!(again["image"]["id"], record["commit"]["image"]["id"], "{again}");
    let first = agent.bottle.end().await;
    assert!(text(&first, "result").contains("first") && !text(&first, "result").contains("tool"), "{first}");
    let resumed = world.run(&["resume", &name, "--yes", "--headless"]).await;
    resumed.expect_code(0).expect_out("second\nit was made\nthe tool works");
    for (kind, words) in [("resolved", proposal.as_str()), ("committed", text(&again, "archive"))] {
        world.run(&["audit", "show", "--kind", kind]).await.expect_code(0).expect_out(words);
    }
    world.run(&["audit", "verify"]).await.expect_code(0);
    let home = world.down().await;
    soon("a cleanup", cleanup(engine, &home, None).output()).await.unwrap();
}

#[tokio::test]
async fn what_is_rejected_or_copies_what_is_not_meant_for_it_is_not_built() {
    let Some(engine) = Engine::shared() else { return };
    let home = Home::empty();
    prepare(&home);
    let world = World::up_in(home, &[("DOCKER_HOST", &host(engine))]).await;
    let mut agent = Agent::start(&world, "docker").await;
    let greedy = agent.wants(&world, "FROM debian:bookworm-slim\nCOPY other.txt /x\n").await;
    let proposal = text(&greedy["structuredContent"], "proposal").to_owned();
    let refused = world.run(&["proposals", "approve", &proposal]).await;
    refused.expect_code(1).expect_err("copies other.txt, which the bottle's own does not name");
    world.run(&["proposals", "reject", &proposal, "--reason", "use what is there"]).await.expect_code(0);
    let told = agent.calls("wait", json!({ "proposal": proposal, "wait_seconds": 5 })).await;
    assert!(
        words(&told).contains("Rejected by a person") && words(&told).contains("use what is there"),
        "{told}"
    );

    // All that would be built is seen, however it is written.
    let hidden = format!("FROM debian:bookworm-slim\nRUN true {}; \u{1b}[2Jrm -rf /\n", " ".repeat(5000));
    let asked = agent.wants(&world, &hidden).await;
    let proposal = text(&asked["structuredContent"], "proposal").to_owned();
    let shown = world.run(&["proposals", "show", &proposal]).await;
    shown.expect_code(0).expect_out(r"; \u{1b}[2Jrm -rf /");
    assert!(!shown.out.contains('\u{1b}'));
    let keep = world.run(&["proposals", "approve", &proposal, "--keep"]).await;
    keep.expect_code(65).expect_err("write it into the bottle's own Dockerfile");
    agent.bottle.end().await;
    let home = world.down().await;
    soon("a cleanup", cleanup(engine, &home, None).output()).await.unwrap();
}

#[tokio::test]
async fn a_bottle_without_an_image_is_told_so() {
    let home = Home::empty();
    prepare(&home);
    let world = World::up_in(home, &[]).await;
    let mut agent = Agent::start(&world, "namespace").await;
    let arguments = json!({ "dockerfile": FIRST, "justification": "the task needs it", "wait_seconds": 20 });
    let told = agent.calls("capability-block", arguments).await;
    assert_eq!(told["structuredContent"]["status"], "refused", "{told}");
    assert!(words(&told).contains("made of no image"), "{told}");
    world.run(&["proposals", "list"]).await.expect_code(0);
    agent.bottle.end().await;
    world.down().await;
}
