use std::path::Path;

use bus::message::Version;
use bus::message::pr::{Actor, Pull};

use super::*;

const FILE: &str = "webhooks:
  team:
    forge: gitea
    secret_ref: HOOK
    api_url: https://git.example.com/api/v1
    token_ref: TOKEN
    account: helper
    bots: [renovate]
    allow: {users: [ann], permission: write}
rules:
  - repositories: [team/secret]
    events: [opened]
    mode: ignore
  - repositories: [team/*]
    events: [opened, comment, labelled, assigned]
    label: agent
    agent: reviewer
    prompt: \"Look at {repository}#{number} ({event} by {actor}), {\\\"no\\\": 1}.\"
    checkout: head
  - repositories: [team/tools]
    events: [pushed]
    mode: resume
    agent: reviewer
    prompt: Look again.
";

fn file() -> DispatchFile {
    DispatchFile::parse(Path::new("dispatch.yaml"), FILE).unwrap()
}

fn event(login: &str, what: PrAction) -> PrEvent {
    PrEvent {
        v: Version,
        webhook: "team".to_owned(),
        delivery: "d".to_owned(),
        digest: "00".to_owned(),
        repo: "team/tools".to_owned(),
        number: 7,
        at: "2026-11-28T10:00:00Z".parse().unwrap(),
        actor: Actor { login: login.to_owned(), is_bot: login.starts_with("bot") },
        what,
        pull: Some(Pull {
            title: "{actor}".to_owned(),
            body: String::new(),
            author: "ann".to_owned(),
            base: "main".to_owned(),
            head: "topic".to_owned(),
            head_repo: Some("team/tools".to_owned()),
            sha: "00".to_owned(),
            is_draft: false,
            is_closed: false,
            labels: Vec::new(),
            assignees: Vec::new(),
            clone_url: "https://git.example.com/team/tools.git".to_owned(),
            updated_at: "2026-11-28T10:00:00Z".parse().unwrap(),
        }),
    }
}

#[test]
fn who_may_start_agents() {
    let webhook = &file().webhooks["team"];
    let of = |login: &str| gate(webhook, &event(login, PrAction::Opened));
    assert_eq!(of("ann"), Gate::Open);
    assert_eq!(of("Ann"), Gate::Open);
    assert_eq!(of("eve"), Gate::Ask);
    assert_eq!(of("helper"), Gate::Shut(Verdict::Own));
    assert_eq!(of("HELPER"), Gate::Shut(Verdict::Own));
    assert_eq!(of("bot1"), Gate::Shut(Verdict::Bot));
    assert_eq!(of("renovate"), Gate::Shut(Verdict::Bot));
    for odd in ["", "../admin", "a b", "a/b", "ann\u{200b}", "\u{430}nn"] {
        assert_eq!(of(odd), Gate::Shut(Verdict::NotAllowed), "{odd}");
    }
    let has = |permission, in_team| suffices(webhook, &Standing { permission, in_team });
    assert!(has(Some(Permission::Write), false) && has(Some(Permission::Admin), false));
    // No team is allowed here.
    assert!(!has(None, false) && !has(None, true));
}

#[test]
fn the_first_rule_that_is_about_it_decides() {
    let file = file();
    let decided = |event: &PrEvent| decide(&file, event, None);
    let Decision::Run(plan) = decided(&event("ann", PrAction::Opened)) else { panic!("it runs") };
    assert_eq!(plan.prompt, "Look at team/tools#7 (opened by ann), {\"no\": 1}.");
    assert_eq!(plan.reference.as_deref(), Some("topic"));
    let nothing = |event: &PrEvent, verdict| assert_eq!(decided(event), Decision::Nothing(verdict));
    let mut secret = event("ann", PrAction::Opened);
    secret.repo = "team/secret".to_owned();
    nothing(&secret, Verdict::RuleIgnores);
    let mut other = event("ann", PrAction::Opened);
    other.repo = "teams/tools".to_owned();
    nothing(&other, Verdict::NoRule);
    let mut draft = event("ann", PrAction::Opened);
    draft.pull.as_mut().unwrap().is_draft = true;
    nothing(&draft, Verdict::NoRule);
    draft.what = PrAction::Comment { text: "@helper".to_owned() };
    assert!(matches!(decided(&draft), Decision::Run(_)));
    nothing(&event("ann", PrAction::Comment { text: "helper".to_owned() }), Verdict::NoMention);
    nothing(&event("ann", PrAction::Pushed), Verdict::NothingToResume);
    nothing(&event("ann", PrAction::Labelled), Verdict::NoLabel);
    nothing(&event("ann", PrAction::Assigned), Verdict::NotAssigned);
    nothing(&event("ann", PrAction::Reopened), Verdict::NoRule);
}

#[test]
fn a_label_counts_when_it_is_put_on() {
    let file = file();
    let mut labelled = event("ann", PrAction::Labelled);
    labelled.pull.as_mut().unwrap().labels = vec!["bug".to_owned(), "agent".to_owned()];
    assert!(matches!(decide(&file, &labelled, None), Decision::Run(_)));
    let mut before = crate::machine::new(&labelled);
    before.pull = labelled.pull.clone();
    assert_eq!(decide(&file, &labelled, Some(&before)), Decision::Nothing(Verdict::NoLabel));
    let mut assigned = event("ann", PrAction::Assigned);
    assigned.pull.as_mut().unwrap().assignees = vec!["Helper".to_owned()];
    assert!(matches!(decide(&file, &assigned, Some(&before)), Decision::Run(_)));
}

#[test]
fn a_branch_of_a_fork_is_not_looked_for_in_the_repository() {
    let file = file();
    let mut opened = event("ann", PrAction::Opened);
    for head_repo in [Some("eve/tools".to_owned()), None] {
        opened.pull.as_mut().unwrap().head_repo = head_repo;
        let Decision::Run(plan) = decide(&file, &opened, None) else { panic!("it runs") };
        assert_eq!(plan.reference.as_deref(), Some("main"));
    }
}

#[test]
fn a_rule_that_resumes_needs_a_conversation() {
    let file = file();
    let pushed = event("ann", PrAction::Pushed);
    let mut before = crate::machine::new(&pushed);
    before.session = Some("s1".to_owned());
    assert!(matches!(decide(&file, &pushed, Some(&before)), Decision::Run(_)));
}
