//! A person is asked, over a real bus: what excuses itself, workflow files, refs (G5 to G7).

use std::path::Path;
use std::time::Duration;

use bus::keys::Keys;
use bus::layout::{Layout, PROPOSALS};
use bus::message::Version;
use bus::message::proposal::{Content, Outcome, ProposalGet, Proposed, Resolved, Scope, Standing, Taken};
use bus::role::Role;
use bus::server::{Options as ServerOptions, Server};
use bus::{Bus, Connect, Follow, Since};
use gitgate::judge::Judge;
use gitgate::judging::{Judging as _, Passed, Refused};
use gitgate::progress::Progress;
use gitgate::push::Push;
use manifest::RefRules;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::world::{BOTTLE, Options, REPO, World, judged, token};

const LONGEST: Duration = Duration::from_secs(60);

/// A bus, a person who answers on it, and a judge that asks there.
struct Table {
    home: tempfile::TempDir,
    server: Option<Server>,
    port: u16,
    supervisor: Bus,
    questions: Follow<Proposed>,
    judge: Judge,
}

fn server(home: &Path, port: Option<u16>) -> ServerOptions {
    ServerOptions { port, binary: Some(crate::world::tool("nats-server")), ..ServerOptions::new(home) }
}

impl Table {
    async fn of(world: &World, change: impl FnOnce(&mut Options)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let started = Server::start(server(home.path(), None)).await.unwrap();
        let url = started.url().to_owned();
        let port = url.rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap();
        let role = async |role| {
            Bus::connect(Connect::new(url.clone(), keys.mint(role, None).unwrap())).await.unwrap()
        };
        bus::provision(&role(Role::Admin).await, &Layout::default()).await.unwrap();
        let supervisor = role(Role::Supervisor).await;
        let subject = format!("proposal.new.{BOTTLE}");
        let questions = supervisor.follow::<Proposed>(PROPOSALS, &subject, Since::Sequence(0)).await.unwrap();
        let credentials = keys.mint_bottle(&BOTTLE.parse().unwrap(), Duration::from_secs(600)).unwrap();
        let bottle = Bus::connect(Connect::new(url.clone(), credentials)).await.unwrap();
        let mut options =
            Options { supervise: true, bus: watch::channel(Some(bottle)).1, ..Options::default() };
        options.rules.refs = RefRules::default();
        change(&mut options);
        let judge = world.judge(options);
        Self { home, server: Some(started), port, supervisor, questions, judge }
    }

    async fn question(&mut self) -> Proposed {
        timeout(LONGEST, self.questions.next()).await.unwrap().unwrap().message.unwrap()
    }

    async fn answer(&self, question: &Proposed, outcome: Outcome, scope: Option<Scope>) {
        self.supervisor.publish(&resolved(question, outcome, scope)).await.unwrap();
    }

    /// Judges a push, of which one question comes, which is answered so.
    async fn answered(
        &mut self,
        push: &Push,
        outcome: Outcome,
        scope: Option<Scope>,
    ) -> (Result<Passed, Refused>, Proposed) {
        let progress = Progress::channel().0;
        let judge = &self.judge;
        let (questions, supervisor) = (&mut self.questions, &self.supervisor);
        let person = async {
            let question = timeout(LONGEST, questions.next()).await.unwrap().unwrap().message.unwrap();
            supervisor.publish(&resolved(&question, outcome, scope)).await.unwrap();
            question
        };
        tokio::join!(judge.judge(push, &progress), person)
    }
}

fn resolved(question: &Proposed, outcome: Outcome, scope: Option<Scope>) -> Resolved {
    Resolved {
        v: Version,
        bottle: question.bottle.clone(),
        proposal: question.proposal.clone(),
        outcome,
        scope,
        revision: None,
        image: None,
        reason: Some("because".to_owned()),
        at: question.at,
        decision: None,
    }
}

const BRANCH: &str = "refs/heads/agent/x";

fn excused(world: &mut World, seed: u64) -> Push {
    let tip = world.file("x.txt", format!("a\nk = {} # gitleaks:allow\n", token(seed)).as_bytes());
    world.push(&[(BRANCH, Some(&tip))])
}

#[tokio::test]
async fn what_excuses_itself_waits_for_a_person_once() {
    let mut world = World::new();
    let push = excused(&mut world, 900);
    let mut table = Table::of(&world, |_| {}).await;
    let (passed, question) = table.answered(&push, Outcome::Approved, Some(Scope::Once)).await;
    assert!(passed.is_ok(), "{passed:?}");
    let Content::GitleaksAllow(allow) = question.content else { panic!("{:?}", question.content) };
    let blob =
        world.git("author", &["rev-parse", &format!("{}:x.txt", push.updates[0].new.clone().unwrap())], b"");
    assert_eq!((allow.repo.as_str(), allow.objects), (REPO, vec![blob]));
    let found: Vec<_> = allow.findings.iter().map(|f| (f.place.as_str(), f.line)).collect();
    assert_eq!((found, question.wait_seconds), (vec![("x.txt", Some(2))], Some(20)));
    // It held for one push.
    let (refused, again) = table.answered(&push, Outcome::Rejected, None).await;
    let refused = refused.unwrap_err();
    assert!(
        refused.reason.contains(&format!("proposal {} was rejected: because", again.proposal)),
        "{}",
        refused.reason
    );
    assert_eq!(refused.findings.len(), 1);
}

#[tokio::test]
async fn an_approval_for_the_bottle_holds_for_these_objects_and_no_others() {
    let mut world = World::new();
    let (push, other) = (excused(&mut world, 910), excused(&mut world, 911));
    let mut table = Table::of(&world, |_| {}).await;
    let (passed, _) = table.answered(&push, Outcome::Approved, Some(Scope::Bottle)).await;
    assert!(passed.is_ok());
    assert!(judged(&table.judge, &push).await.is_ok());
    let (refused, _) = table.answered(&other, Outcome::Rejected, None).await;
    assert!(refused.is_err());
    assert!(judged(&table.judge, &push).await.is_ok());
}

#[tokio::test]
async fn an_ignore_file_excuses_by_path_and_line() {
    let mut world = World::new();
    let (blob, main) = (world.blob(format!("a\n{}\n", token(920)).as_bytes()), world.main());
    let ignore = |text: &str, world: &mut World| {
        let ignore = world.blob(text.as_bytes());
        let tree =
            world.tree(&[("100644", ".gitleaksignore", ignore.as_str()), ("100644", "x.txt", blob.as_str())]);
        let tip = world.commit(&tree, &[&main], "work\n");
        world.push(&[(BRANCH, Some(&tip))])
    };
    let other = ignore("x.txt:github-pat:1\n", &mut world);
    let mut table = Table::of(&world, |_| {}).await;
    assert!(judged(&table.judge, &other).await.unwrap_err().reason.contains("take it out of every commit"));
    let push = ignore("# what we know of\nx.txt:github-pat:2\n", &mut world);
    let (passed, _) = table.answered(&push, Outcome::Approved, Some(Scope::Once)).await;
    assert!(passed.is_ok(), "{passed:?}");
}

/// One finding that nothing excuses refuses the push, and nobody is asked: the next question is that of the next push.
#[tokio::test]
async fn nobody_is_asked_where_something_is_not_excused() {
    let mut world = World::new();
    let text = format!("{} # gitleaks:allow\n{}\n", token(930), token(931));
    let tip = world.file("x.txt", text.as_bytes());
    let mixed = world.push(&[(BRANCH, Some(&tip))]);
    let tree = world.tree_of("refs/heads/main");
    let main = world.main();
    let tip = world.commit(&tree, &[&main], &format!("{} gitleaks:allow\n", token(932)));
    let in_message = world.push(&[(BRANCH, Some(&tip))]);
    let all_excused = excused(&mut world, 933);
    let mut table = Table::of(&world, |_| {}).await;
    for push in [mixed, in_message] {
        assert!(judged(&table.judge, &push).await.unwrap_err().reason.contains("nothing was sent on"));
    }
    let (_, question) = table.answered(&all_excused, Outcome::Rejected, None).await;
    let Content::GitleaksAllow(allow) = question.content else { panic!("{:?}", question.content) };
    assert_eq!(allow.findings.len(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_late_holds_for_the_next_push() {
    let mut world = World::new();
    let push = excused(&mut world, 940);
    let mut table = Table::of(&world, |options| options.limits.hold_seconds = 1).await;
    let refused = judged(&table.judge, &push).await.unwrap_err();
    let question = table.question().await;
    assert!(
        refused.reason.contains(&format!("nobody has answered proposal {} in time", question.proposal)),
        "{}",
        refused.reason
    );
    table.answer(&question, Outcome::Approved, Some(Scope::Once)).await;
    passes_in_time(&table.judge, &push).await;
}

async fn passes_in_time(judge: &Judge, push: &Push) {
    let passed = timeout(LONGEST, async { while judged(judge, push).await.is_err() {} }).await;
    passed.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_missed_is_asked_for() {
    let mut world = World::new();
    let push = excused(&mut world, 950);
    let mut table = Table::of(&world, |options| options.limits.hold_seconds = 60).await;
    let mut gets = table.supervisor.subscribe::<ProposalGet>("proposal.get.*").await.unwrap();
    let progress = Progress::channel().0;
    let judge = &table.judge;
    let (questions, home, port) = (&mut table.questions, table.home.path(), table.port);
    let running = table.server.take().unwrap();
    let restarted = std::cell::OnceCell::new();
    let person = async {
        let question = timeout(LONGEST, questions.next()).await.unwrap().unwrap().message.unwrap();
        running.stop().await;
        let again = Server::start(server(home, Some(port))).await.unwrap();
        let resolved = Box::new(resolved(&question, Outcome::Approved, Some(Scope::Once)));
        restarted.set(again).unwrap_or_else(|_| unreachable!("it is started once"));
        loop {
            let get = timeout(LONGEST, gets.next()).await.unwrap().unwrap();
            assert_eq!(get.message.as_ref().unwrap().proposal, question.proposal);
            get.answer(&Standing::Resolved { resolved: resolved.clone() }).await.unwrap();
        }
    };
    let passed = tokio::select! {
        passed = judge.judge(&push, &progress) => passed,
        () = person => unreachable!("it answers for as long as it is asked"),
    };
    assert!(passed.is_ok(), "{passed:?}");
    restarted.into_inner().unwrap().stop().await;
}

/// An equal question of an earlier life of the gate waits already: the answer comes under its id.
#[tokio::test]
async fn an_answer_comes_under_the_id_that_waits() {
    let mut world = World::new();
    let push = excused(&mut world, 960);
    let mut table = Table::of(&world, |_| {}).await;
    let progress = Progress::channel().0;
    let judge = &table.judge;
    let (questions, supervisor) = (&mut table.questions, &table.supervisor);
    let person = async {
        let question = timeout(LONGEST, questions.next()).await.unwrap().unwrap().message.unwrap();
        let waits_as: base::id::ProposalId = "p-earlier".parse().unwrap();
        let taken = Taken {
            v: Version,
            bottle: question.bottle.clone(),
            proposal: question.proposal.clone(),
            waits_as: waits_as.clone(),
        };
        supervisor.announce(&taken).await.unwrap();
        let answer =
            Resolved { proposal: waits_as, ..resolved(&question, Outcome::Approved, Some(Scope::Once)) };
        supervisor.publish(&answer).await.unwrap();
    };
    let (passed, ()) = tokio::join!(judge.judge(&push, &progress), person);
    assert!(passed.is_ok(), "{passed:?}");
}

#[tokio::test]
async fn a_ref_is_refused_at_once_and_granted_for_exactly_one_change() {
    let mut world = World::new();
    let (main, tree) = (world.main(), world.tree_of("refs/heads/main"));
    let first = world.commit(&tree, &[&main], "first\n");
    let second = world.commit(&tree, &[&main], "second\n");
    let push = world.push(&[("refs/heads/main", Some(&first))]);
    let mut table = Table::of(&world, |_| {}).await;
    let refused = judged(&table.judge, &push).await.unwrap_err();
    let question = table.question().await;
    let Content::RefGrant(grant) = &question.content else { panic!("{:?}", question.content) };
    assert_eq!(
        (grant.name.as_str(), grant.old.as_deref(), grant.new.as_deref()),
        ("refs/heads/main", Some(main.as_str()), Some(first.as_str()))
    );
    assert!(refused.reason.contains(&format!("`wait` for {}", question.proposal)), "{}", refused.reason);
    // The same push asks nothing new.
    let again = judged(&table.judge, &push).await.unwrap_err();
    assert!(again.reason.contains(&question.proposal.to_string()));
    table.answer(&question, Outcome::Approved, Some(Scope::Once)).await;
    // Another change of the same ref is not the one that was granted.
    passes_in_time(&table.judge, &push).await;
    let other = Push {
        updates: vec![gitgate::push::Update {
            new: Some(second.parse().unwrap()),
            ..push.updates[0].clone()
        }],
        ..push.clone()
    };
    for push in [other, push] {
        assert!(judged(&table.judge, &push).await.unwrap_err().reason.contains("default branch"));
        let question = table.question().await;
        table.answer(&question, Outcome::Rejected, None).await;
    }
}

#[tokio::test]
async fn what_no_person_can_grant_is_not_asked_for() {
    let mut world = World::new();
    let tip = world.file("x", b"x\n");
    let reserved = world.push(&[("refs/heads/main", Some(&tip)), ("refs/pull/1/head", Some(&tip))]);
    let many: Vec<_> = (0..9).map(|at| format!("refs/tags/v{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), Some(tip.as_str()))).collect();
    let many = world.push(&many);
    let tag = world.push(&[("refs/tags/last", Some(&tip))]);
    let mut table = Table::of(&world, |_| {}).await;
    assert!(!judged(&table.judge, &reserved).await.unwrap_err().reason.contains("proposal"));
    assert!(judged(&table.judge, &many).await.unwrap_err().reason.contains("push fewer"));
    assert!(judged(&table.judge, &tag).await.is_err());
    let Content::RefGrant(grant) = table.question().await.content else { panic!("another question") };
    assert_eq!(grant.name, "refs/tags/last");
}

#[tokio::test]
async fn workflow_files_wait_for_a_person() {
    let mut world = World::new();
    let tip = world.file("Jenkinsfile", b"node {}\n");
    let push = world.push(&[(BRANCH, Some(&tip))]);
    let mut table = Table::of(&world, |_| {}).await;
    let (refused, question) = table.answered(&push, Outcome::Expired, None).await;
    assert!(refused.unwrap_err().reason.contains("was expired"));
    let Content::WorkflowChange(change) = question.content else { panic!("{:?}", question.content) };
    assert_eq!(
        (change.name.as_str(), change.new, change.paths),
        (BRANCH, tip, vec!["Jenkinsfile".to_owned()])
    );
    let (passed, _) = table.answered(&push, Outcome::Approved, Some(Scope::Once)).await;
    assert!(passed.is_ok());
}

#[tokio::test]
async fn without_a_bus_nobody_is_asked() {
    let mut world = World::new();
    let push = excused(&mut world, 970);
    let options = Options { supervise: true, ..Options::default() };
    let refused = judged(&world.judge(options), &push).await.unwrap_err();
    assert!(refused.reason.contains("the bus is away"), "{}", refused.reason);
}
