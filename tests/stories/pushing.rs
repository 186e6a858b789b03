//! An agent pushes what only a person may let through (G5 to G7, S2, invariants 2, 5 and 7).

use base::Secret;
use base::lifecycle::Lifecycle;
use bus::message::proposal::{Content, Outcome, Scope, Verdict};
use harness::{Backend, Forge, Home, Origin, World, on_each_backend, soon};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::deciding::Operator;

const AGENT: &str = concat!(include_str!("door.py"), "\n\n", include_str!("pushing.py"));

/// A forge with a repository, and services in a home with an agent that works on it.
struct Workplace {
    world: World,
    forge: Forge,
    token: String,
    _life: Lifecycle,
    _upstream: tempfile::TempDir,
}

impl Workplace {
    async fn up(on: Backend, argv: &[&str]) -> Self {
        let (upstream, life, home) = (tempfile::tempdir().unwrap(), Lifecycle::new(), Home::on(on));
        let token = format!("made-up-{}", base::id::ExchangeId::random());
        let forge = Forge::make(upstream.path().to_owned(), Secret::new(token.clone())).await.unwrap();
        let origin = Origin::start(&["localhost"], Some(forge.clone()), &life).await.unwrap();
        let authority = upstream.path().join("authority.pem");
        std::fs::write(&authority, &origin.authority).unwrap();
        let url = format!("https://localhost:{}/team/tools.git", origin.address.port());
        let refs = serde_json::json!({ "create": ["agent/*"], "update": ["agent/*"] });
        let bottle = serde_json::json!({
            "agent_provider": { "template": "command", "argv": argv },
            "env": { "STORY": home.marker, "REPOSITORY": url },
            "git-gate": {
                "user": { "name": "Agent", "email": "agent@example.org" },
                "repos": { "tools": { "url": url, "token_ref": "FORGE_TOKEN", "refs": refs } },
            },
        });
        home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
        home.write_file("agents/worker.md", "---\nbottle: worker\n---\n");
        let authority = authority.display().to_string();
        let variables = [("FORGE_TOKEN", token.as_str()), ("BOT_BOTTLE_UPSTREAM_CA", &authority)];
        let world = World::up_in(home, &variables).await;
        Self { world, forge, token, _life: life, _upstream: upstream }
    }
}

on_each_backend!(workflows_and_foreign_branches_wait_for_a_person);

async fn workflows_and_foreign_branches_wait_for_a_person(on: Backend) {
    let place = Workplace::up(on, &["/usr/bin/python3", "-c", AGENT]).await;
    let world = &place.world;
    let mut operator = Operator::of(world).await;
    let mut start = world.home.command(&["start", "worker", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    let mut word = async || soon("a line", words.next_line()).await.unwrap().unwrap_or_default();
    assert_eq!(word().await, "clone passed");

    let card = operator.card().await;
    let Content::WorkflowChange(change) = &card.content else { panic!("{:?}", card.content) };
    assert_eq!((change.name.as_str(), change.paths.len()), ("refs/heads/agent/work", 1));
    assert!(place.forge.branches().await.unwrap() == ["refs/heads/main"], "it waits");
    operator.resolve(&card, Verdict::Approve { scope: Scope::Once }, Outcome::Approved).await;
    assert_eq!(word().await, "workflow passed");

    let card = operator.card().await;
    assert!(matches!(card.content, Content::WorkflowChange(_)), "{:?}", card.content);
    operator.resolve(&card, Verdict::Reject, Outcome::Rejected).await;
    assert_eq!(word().await, "another refused");

    assert_eq!(word().await, "foreign refused");
    let card = operator.card().await;
    let Content::RefGrant(grant) = &card.content else { panic!("{:?}", card.content) };
    assert_eq!(grant.name, "refs/heads/other");
    operator.resolve(&card, Verdict::Approve { scope: Scope::Once }, Outcome::Approved).await;
    for expected in ["asked approved", "foreign passed", "foreign refused"] {
        assert_eq!(word().await, expected);
    }
    let ended = soon("its end", start.wait()).await.unwrap();
    assert!(ended.success(), "{}", world.log());

    let branches = place.forge.branches().await.unwrap();
    assert_eq!(branches, ["refs/heads/agent/work", "refs/heads/main", "refs/heads/other"]);
    let objects = place.forge.objects().await.unwrap();
    assert!(objects.contains("on: push") && !objects.contains("on: pull_request"));
    world.run(&["audit", "verify"]).await.expect_code(0);
    let shown = world.run(&["audit", "show", "--component", "gitgate"]).await;
    shown.expect_code(0).expect_out("tools").expect_out("refs/heads/agent/work");
    assert!(!shown.out.contains(&place.token) && !world.log().contains(&place.token));
    place.world.down().await;
}
