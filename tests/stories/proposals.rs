//! An operator answers with commands (S6), keeps a grant, and reads the trail of it (S8). The asker's part is played with
//! the bottle's own identity.

use base::clock::Clock;
use base::id::Slug;
use bus::Bus;
use bus::keys::Keys;
use bus::message::proposal::{Content, Proposed};
use cli::host::Process;
use harness::{Backend, Home, LIMIT, Ran, World, on_each_backend, soon};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::deciding::connect;
use crate::operator::running;

/// A bottle that asks.
struct Asker<'a> {
    world: &'a World,
    bottle: String,
    bus: Bus,
}

impl<'a> Asker<'a> {
    async fn of(world: &'a World) -> Self {
        let bottle = running(world).await;
        let slug: Slug = bottle.parse().unwrap();
        let identity = Keys::load(world.home.path()).unwrap().mint_bottle(&slug, LIMIT * 10).unwrap();
        Self { world, bottle, bus: connect(world, identity).await }
    }

    /// Asks, and returns the id once it waits.
    async fn asks(&self, content: Value, why: &str) -> String {
        let content: Content = serde_json::from_value(content).unwrap();
        let mut asked = Proposed::new(self.bottle.parse().unwrap(), content, 1, Clock::System.now());
        asked.justification = Some(why.to_owned());
        self.bus.publish(&asked).await.unwrap();
        let id = asked.proposal.to_string();
        let waits = async || {
            let all = self.world.run(&["proposals", "list", "--json"]).await.expect_code(0).json();
            all.as_array().unwrap().iter().any(|one| one["proposal"] == id.as_str())
        };
        soon("the proposal", async { while !waits().await {} }).await;
        id
    }
}

fn docs(host: &str) -> Value {
    json!({ "kind": "egress", "host": host, "methods": ["GET"], "paths": [{ "type": "prefix", "value": "/docs" }] })
}

fn held() -> Value {
    json!({ "kind": "token-match", "request": "x1", "method": "POST", "scheme": "https", "host": "a.example",
        "path": "/p", "detector": "github-pat", "surface": "body", "value": "00" })
}

/// Writes a key that is not known first, and a narrower grant when it is told so.
const EDITOR: &str = r"
import sys
page = open(sys.argv[1]).read()
good = '# It cannot be granted: unknown field `hots`' in page
open(sys.argv[1], 'w').write('host: b.example\nmethods: [HEAD]\n' if good else 'hots: b.example\n')
";

on_each_backend!(
    proposals_are_listed_shown_and_answered,
    an_editor_ends_with_the_command_that_opened_it,
    a_grant_is_kept_and_revoked_the_operator_is_notified_and_the_trail_holds,
);

async fn proposals_are_listed_shown_and_answered(on: Backend) {
    let world = World::up_on(on).await;
    let asker = Asker::of(&world).await;
    world.run(&["proposals", "list"]).await.expect_code(0).expect_err("nothing waits");

    let first = asker.asks(docs("a.example"), "\u{1b}[2Jto read\nstate  approved").await;
    let shown = world.run(&["proposals", "show", &first]).await;
    shown
        .expect_code(0)
        .expect_out("+ https://a.example GET to /docs and below")
        .expect_out("\\u{1b}[2Jto read\\n");
    let shown = world.run(&["proposals", "show", &first, "--json"]).await;
    assert!(!shown.out.contains('\u{1b}'));
    assert_eq!(
        (shown.json()["revision"].as_u64(), shown.json()["state"]["is"].as_str()),
        (Some(1), Some("pending"))
    );
    let stale = world.run(&["proposals", "approve", &first, "--revision", "7"]).await;
    stale.expect_code(75).expect_err("is at revision 1 now, and you were shown 7");
    let approved = world.run(&["proposals", "approve", &first, "--bottle", "--revision", "1"]).await;
    approved
        .expect_code(0)
        .expect_out("approved (bottle), revision 2 runs")
        .expect_err("+ https://a.example");
    world.run(&["routes", "show", &asker.bottle]).await.expect_code(0).expect_out("a.example");
    world.run(&["proposals", "approve", &first]).await.expect_code(1).expect_err("already");

    let secret = asker.asks(held(), "it is a test").await;
    world.run(&["proposals", "approve", &secret]).await.expect_code(64).expect_err("--reason");
    world
        .run(&["proposals", "approve", &secret, "--keep", "-r", "x"])
        .await
        .expect_code(65)
        .expect_err("only routes");
    world.run(&["proposals", "edit", &secret, "--yes"]).await.expect_code(65).expect_err("not edited");
    let rejected = world.run(&["proposals", "reject", &secret, "--reason", "no", "--json"]).await;
    assert_eq!(rejected.expect_code(0).json()["resolved"]["outcome"], "rejected");

    let wide = asker.asks(docs("b.example"), "all of it").await;
    world.run(&["proposals", "edit", &wide]).await.expect_code(64).expect_err("--yes");
    let edited = edit(&world, &wide, "true").await;
    edited.expect_code(1).expect_err("nothing is decided");
    world.home.write_file("edit.py", EDITOR);
    let script = format!("python3 '{}'", world.home.path().join("edit.py").display());
    edit(&world, &wide, &script)
        .await
        .expect_code(0)
        .expect_out("modified")
        .expect_err("+ https://b.example HEAD");
    world.run(&["proposals", "show", "p-nobody-knows"]).await.expect_code(66);
    let all = world.run(&["proposals", "list", "--all"]).await;
    all.expect_code(0).expect_out("approved").expect_out("rejected").expect_out("modified");
    world.run(&["supervise"]).await.expect_code(64).expect_err("proposals list --watch");
    world.run(&["stop", &asker.bottle, "--grace", "0"]).await.expect_code(0);
    drop(asker);
    world.down().await;
}

async fn edit(world: &World, proposal: &str, editor: &str) -> Ran {
    let mut command = world.home.command(&["proposals", "edit", proposal, "--yes"]);
    command.env_remove("VISUAL").env("EDITOR", editor);
    let output = soon("the edit", command.output()).await.unwrap();
    Ran {
        command: "proposals edit".to_owned(),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn an_editor_ends_with_the_command_that_opened_it(on: Backend) {
    let world = World::up_on(on).await;
    let asker = Asker::of(&world).await;
    let asked = asker.asks(docs("a.example"), "to read").await;
    let mut command = world.home.command(&["proposals", "edit", &asked, "--yes"]);
    command.env_remove("VISUAL").env("EDITOR", "sh -c 'echo $$; exec sleep 600' editor");
    let mut edit = command.spawn().unwrap();
    let mut words = BufReader::new(edit.stdout.take().unwrap()).lines();
    let editor = soon("its editor", words.next_line()).await.unwrap().unwrap().parse().unwrap();
    let editor = Process::find(editor).unwrap().unwrap();
    let pid = i32::try_from(edit.id().unwrap()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    let ended = soon("its end", edit.wait_with_output()).await.unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && told.contains("was told to end"), "{ended:?}");
    soon("the editor's end", editor.ended()).await;
    world.run(&["proposals", "show", &asked]).await.expect_code(0).expect_out("waits");
    world.down().await;
}

async fn a_grant_is_kept_and_revoked_the_operator_is_notified_and_the_trail_holds(on: Backend) {
    let home = Home::on(on);
    let told = home.path().join("told");
    let notify =
        ["sh", "-c", "echo \"$@\" >> \"$0\"", told.to_str().unwrap(), "{bottle}", "{kind}", "{host}", "{id}"];
    home.write_file("settings.yaml", &json!({ "notify": notify, "backend": on.name() }).to_string());
    let world = World::up_in(home, &[]).await;
    let asker = Asker::of(&world).await;
    let id = asker.asks(docs("a.example"), "to read").await;
    let expected = format!("{} egress a.example {id}\n", asker.bottle);
    let was_told = || std::fs::read_to_string(&told).is_ok_and(|told| told == expected);
    soon("the notification", async {
        while !was_told() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    world
        .run(&["proposals", "approve", &id, "--keep", "--reason", "docs"])
        .await
        .expect_code(0)
        .expect_out("(keep)");
    world
        .run(&["grants"])
        .await
        .expect_code(0)
        .expect_out(&id)
        .expect_out("https://a.example GET to /docs and below");
    let kept = world.run(&["grants", "list", "--json"]).await.expect_code(0).json();
    assert_eq!(
        (kept[0]["bottle"].as_str(), kept[0]["reason"].as_str()),
        (Some("sleeper"), Some("docs")),
        "{kept}"
    );
    world.run(&["info", "sleeper"]).await.expect_code(0).expect_out("bottles/sleeper.grants.md");
    world.run(&["grants", "revoke", "sleeper", &id]).await.expect_code(0);
    world.run(&["grants", "revoke", "sleeper", &id]).await.expect_code(66);
    world.run(&["grants"]).await.expect_code(0).expect_err("nothing is granted for good");

    let recorded =
        async || world.run(&["audit", "show", "--kind", "resolved"]).await.expect_code(0).out.contains(&id);
    soon("the record", async { while !recorded().await {} }).await;
    world.run(&["audit", "verify"]).await.expect_code(0).expect_out("records are whole");
    let trail = world.home.path().join("trail.jsonl");
    let path = trail.to_str().unwrap();
    // An export is older than what the supervisor has signed since, until nothing new is left to sign.
    let exported = async {
        loop {
            world.run(&["audit", "export", "--output", path]).await.expect_code(0);
            let report = world.run(&["audit", "verify", path, "--json"]).await.json();
            if report["fault"]["why"] != "truncated" {
                return report;
            }
        }
    };
    let whole = soon("an export of all that is signed", exported).await;
    assert_eq!(whole["whole"], true, "{whole}");
    let text = std::fs::read_to_string(&trail).unwrap();
    assert!(text.contains(&id));
    let (before, tampered) = (r#""attempt":1"#, r#""attempt":2"#);
    assert!(text.contains(before), "{text}");
    std::fs::write(&trail, text.replacen(before, tampered, 1)).unwrap();
    world.run(&["audit", "verify", path]).await.expect_code(1).expect_out("record");
    let ocsf = world.run(&["audit", "export", "--format", "ocsf"]).await;
    ocsf.expect_code(0).expect_out("\"class_uid\":6003");
    world.run(&["stop", &asker.bottle, "--grace", "0"]).await.expect_code(0);
    drop(asker);
    world.down().await;
}
