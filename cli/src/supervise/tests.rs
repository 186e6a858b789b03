//! The screen, driven by what a bus has said and what a person presses.

use base::id::ProposalId;
use bus::message::proposal::{DecideRefusal, DecideReply, ProposalRecord, ProposalState, Scope, Verdict};
use bus::message::revision::PolicyRevision;
use bus::{Change, Value};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::input::action;
use super::state::{Effect, Mode, State};
use super::view;
use crate::deciding::Answer;
use crate::deciding::card::tests::{egress, now, record, revision};

fn change<T>(key: &str, value: T) -> Change<T> {
    let value = Value { value, revision: 1, at: now(), expires: false };
    Change { key: key.to_owned(), value: Some(Ok(value)) }
}

fn comes(state: &mut State, record: ProposalRecord) {
    state.proposal(change(&record.proposal.to_string(), record));
}

fn goes(state: &mut State, id: &str) {
    state.proposal(Change { key: id.to_owned(), value: None });
}

fn runs(state: &mut State, current: PolicyRevision) {
    state.policy(change(&current.bottle.to_string(), current));
}

/// Three proposals of two bottles, the first of them selected.
fn three() -> State {
    let mut state = State::default();
    for bottle in ["me-00000", "you-00000"] {
        runs(&mut state, revision(bottle, 2, &serde_json::json!([{ "host": "a.example" }])));
    }
    comes(&mut state, egress("p1", "me-00000", "docs.example"));
    comes(&mut state, held("p2"));
    let mut third = egress("p3", "you-00000", "api.example");
    (third.count, third.justification) = (7, Some("The tests of the payment module call it.".to_owned()));
    comes(&mut state, third);
    state
}

fn held(id: &str) -> ProposalRecord {
    let content = serde_json::json!({ "kind": "token-match", "request": "x1", "method": "POST", "scheme": "https",
        "host": "a.example", "path": "/p", "detector": "github-pat", "surface": "body", "value": "00" });
    record(id, "me-00000", content)
}

fn press(state: &mut State, code: KeyCode) -> Option<Effect> {
    let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    action(&event, &state.mode).and_then(|action| state.act(action))
}

/// Types letters, `\n` for return and `\x1b` for escape. Returns what the last one led to.
fn types(state: &mut State, keys: &str) -> Option<Effect> {
    let mut effect = None;
    for key in keys.chars() {
        effect = press(
            state,
            match key {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                letter => KeyCode::Char(letter),
            },
        );
    }
    effect
}

fn answered(effect: Option<Effect>) -> Answer {
    match effect {
        Some(Effect::Answer(answer)) => *answer,
        other => panic!("{other:?}"),
    }
}

fn selected(state: &State) -> Option<String> {
    state.card().map(|(card, ..)| card.record.proposal.to_string())
}

fn screen(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            view::draw(frame, state, now());
        })
        .unwrap();
    let rows: Vec<_> = terminal
        .backend()
        .to_string()
        .lines()
        .map(|row| row.trim_matches('"').trim_end().to_owned())
        .collect();
    rows.join("\n")
}

fn id(text: &str) -> ProposalId {
    text.parse().unwrap()
}

#[test]
fn two_keys_answer_what_is_on_the_screen() {
    let mut state = three();
    let answer = answered(types(&mut state, "ao"));
    assert_eq!((answer.shown.proposal, answer.base), (id("p1"), 2));
    assert_eq!((answer.verdict, answer.reason), (Verdict::Approve { scope: Scope::Once }, None));
    let answer = answered(types(&mut state, "jjrnot today\n"));
    assert_eq!((answer.shown.proposal, answer.verdict), (id("p3"), Verdict::Reject));
    assert_eq!(answer.reason.as_deref(), Some("not today"));
    // What is answered is not answered again.
    assert!(types(&mut state, "a").is_none() && matches!(state.mode, Mode::Browse) && state.note.is_some());
}

#[test]
fn a_dockerfile_is_approved_as_one() {
    let mut state = three();
    let content = serde_json::json!({ "kind": "capability", "dockerfile": "FROM a\nRUN b\n" });
    let mut asked = record("p0", "me-00000", content);
    asked.before = Some("FROM a\n".to_owned());
    comes(&mut state, asked);
    types(&mut state, "g");
    while selected(&state).as_deref() != Some("p0") {
        types(&mut state, "j");
    }
    types(&mut state, "a");
    let shown = screen(&state, 100, 40);
    assert!(shown.contains("+ RUN b") && shown.contains("b build it   Esc not at all"), "{shown}");
    assert!(types(&mut state, "ok").is_none() && matches!(state.mode, Mode::Scope(_)));
    let answer = answered(types(&mut state, "b"));
    assert_eq!(
        (answer.shown.proposal, answer.verdict),
        (id("p0"), Verdict::Approve { scope: Scope::Bottle })
    );
    state.answered(&id("p0"), Ok(DecideReply::Building));
    assert!(state.note.as_ref().is_some_and(|note| note.good && note.lines[0].contains("image built now")));
}

#[test]
fn no_default_approves() {
    let mut state = three();
    for keys in ["\n", "a\n", "a\x1b", "ay", "a ", "aj\x1b", "ob k\n"] {
        let mut keys = keys.chars().map(String::from);
        assert!(
            keys.all(|key| types(&mut state, &key).is_none_or(|effect| !matches!(effect, Effect::Answer(_))))
        );
        types(&mut state, "\x1bg");
    }
    // A pasted text answers nothing.
    let paste = Event::Paste("aoab".to_owned());
    assert_eq!(action(&paste, &state.mode), None);
}

#[test]
fn what_is_about_a_secret_needs_a_reason() {
    let mut state = three();
    assert!(types(&mut state, "jab\n").is_none());
    assert!(matches!(state.mode, Mode::Reason(..)) && state.note.is_some());
    assert!(types(&mut state, "   \n").is_none());
    let answer = answered(types(&mut state, "it is a test key\n"));
    assert_eq!((answer.shown.proposal, answer.reason.as_deref()), (id("p2"), Some("it is a test key")));
    // There is no such scope.
    types(&mut state, "g");
    let mut other = three();
    assert!(types(&mut other, "jak").is_none() && matches!(other.mode, Mode::Scope(_)));
}

#[test]
fn a_selection_whose_card_goes_selects_nothing_else() {
    let mut state = three();
    types(&mut state, "j");
    goes(&mut state, "p2");
    assert_eq!(selected(&state), None);
    assert!(types(&mut state, "ao").is_none() && types(&mut state, "r").is_none());
    types(&mut state, "j");
    assert_eq!(selected(&state).as_deref(), Some("p3"));
    // Whatever comes or goes before it, the selection stays.
    let mut older = egress("p0", "me-00000", "older.example");
    older.first = "2026-11-20T00:00:00Z".parse().unwrap();
    comes(&mut state, older);
    assert_eq!(selected(&state).as_deref(), Some("p3"));
    goes(&mut state, "p1");
    assert_eq!(selected(&state).as_deref(), Some("p3"));
    types(&mut state, "k");
    assert_eq!(selected(&state).as_deref(), Some("p0"));
}

#[test]
fn a_question_ends_with_its_proposal() {
    for mode in ["a", "r"] {
        let mut state = three();
        types(&mut state, mode);
        goes(&mut state, "p1");
        assert!(matches!(state.mode, Mode::Browse), "{mode}");
        assert_eq!(state.note.as_ref().unwrap().lines, ["p1: it ended meanwhile"]);
        assert!(types(&mut state, "o\n").is_none());
    }
    let mut state = three();
    types(&mut state, "a");
    goes(&mut state, "p2");
    assert!(matches!(state.mode, Mode::Scope(_)));
}

#[test]
fn an_answer_is_bound_to_the_policy_that_was_shown() {
    let mut state = three();
    types(&mut state, "a");
    runs(&mut state, revision("me-00000", 3, &serde_json::json!([])));
    assert_eq!(answered(types(&mut state, "o")).base, 2);
    let differs = vec!["- https://a.example every request".to_owned()];
    let why = DecideRefusal::StaleBase { current: 3, differs };
    state.answered(&id("p1"), Ok(DecideReply::Refused { why }));
    insta::assert_snapshot!(screen(&state, 100, 24), @r#"
    bot-bottle  3 proposals of 2 bottles wait
    >  3m       me-00000             egress          https://docs.example GET to /docs and below
       3m       me-00000             token-match     github-pat in body of POST https://a.example/p
       3m    ×7 you-00000            egress          https://api.example GET to /docs and below





    ┌──────────────────────────────────────────────────────────────────────────────────────────────────┐
    │proposal     p1                                                                                   │
    │bottle       me-00000                                                                             │
    │kind         egress                                                                               │
    │to           https://docs.example                                                                 │
    │requests     GET to /docs and below                                                               │
    │asked        3m ago                                                                               │
    │state        waits for you; expires in 23h                                                        │
    │                                                                                                  │
    │what an approval changes (revision 3)                                                             │
    │  + https://docs.example GET to /docs and below                                                   │
    │                                                                                                  │
    └──────────────────────────────────────────────────────────────────────────────────────────────────┘
    p1 the bottle's policy is at revision 3 now: look at what differs, and answer again
    - https://a.example every request
    "#);
    assert_eq!(answered(types(&mut state, "ao")).base, 3);
}

#[test]
fn what_could_not_be_applied_waits_on_and_says_why() {
    let mut state = three();
    types(&mut state, "ao");
    let why = DecideRefusal::ApplyFailed { reason: "the proxy\nrefused".to_owned() };
    state.answered(&id("p1"), Ok(DecideReply::Refused { why }));
    let mut failed = egress("p1", "me-00000", "docs.example");
    failed.state = ProposalState::Pending { failed: Some("the proxy\u{1b}[2J\nrefused".to_owned()) };
    comes(&mut state, failed);
    let shown = screen(&state, 100, 24);
    // Line by line, as a build says it, and each of them inert.
    let lines = [
        "! the last approval was not applied: the proxy\\u{1b}[2J",
        "│  refused",
        "the change was not applied: the proxy",
    ];
    assert!(lines.iter().all(|line| shown.contains(line)) && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(shown.lines().last(), Some("refused"), "{shown}");
    assert_eq!((state.deck.waiting().0, selected(&state).as_deref()), (3, Some("p1")));
}

#[test]
fn a_filter_chooses_and_never_selects() {
    let mut state = three();
    types(&mut state, "/YOU-");
    assert_eq!((state.deck.shown(), selected(&state)), (1, None));
    comes(&mut state, egress("p4", "me-00000", "more.example"));
    assert_eq!((state.deck.shown(), state.deck.waiting()), (1, (4, 2)));
    types(&mut state, "\nj");
    assert_eq!(selected(&state).as_deref(), Some("p3"));
    types(&mut state, "\x1b");
    assert_eq!((state.deck.shown(), selected(&state).as_deref()), (4, Some("p3")));
    types(&mut state, "/q?a\x1b");
    assert!(matches!(state.mode, Mode::Browse) && state.deck.filter().is_empty());
}

#[test]
fn a_thousand_proposals_cost_a_key_nothing() {
    let mut state = State::default();
    for index in 0..1000 {
        let mut record =
            egress(&format!("p{index:04}"), &format!("b{:02}-00000", index % 50), "docs.example");
        record.first = now() + jiff::SignedDuration::from_secs(index);
        comes(&mut state, record);
    }
    assert_eq!((state.deck.waiting(), state.deck.looked_at()), ((1000, 50), 1000));
    for _ in 0..999 {
        types(&mut state, "j");
        // What is drawn is what fits.
        assert_eq!(state.deck.rows(20).count(), 20);
    }
    assert_eq!(selected(&state).as_deref(), Some("p0999"));
    types(&mut state, "gGkkkk  bb");
    assert_eq!(state.deck.looked_at(), 1000);
    let mut again = egress("p0007", "b07-00000", "docs.example");
    (again.first, again.count) = (now() + jiff::SignedDuration::from_secs(7), 10_000);
    comes(&mut state, again);
    assert_eq!((state.deck.shown(), state.deck.looked_at()), (1000, 1001));
}

#[test]
fn the_list_and_a_card() {
    let mut state = three();
    insta::assert_snapshot!("narrow", screen(&state, 80, 24));
    types(&mut state, "G");
    insta::assert_snapshot!("wide", screen(&state, 140, 20));
}

#[test]
fn the_questions() {
    let mut state = three();
    types(&mut state, "a");
    insta::assert_snapshot!("scope", screen(&state, 80, 24));
    types(&mut state, "\x1bjabit is");
    insta::assert_snapshot!("reason", screen(&state, 80, 24));
    types(&mut state, "\x1bgrno");
    insta::assert_snapshot!("reject", screen(&state, 80, 24));
    types(&mut state, "\x1b?");
    insta::assert_snapshot!("help", screen(&state, 80, 24));
}

#[test]
fn small_and_empty_screens() {
    let state = three();
    insta::assert_snapshot!("small", screen(&state, 40, 10));
    assert!(screen(&state, 20, 3).contains("3 wait"));
    for (width, height) in [(1, 1), (2, 2), (40, 1), (1, 40), (41, 11), (300, 100)] {
        let mut state = three();
        for keys in ["", "a", "\x1br", "\x1b?", " /x"] {
            types(&mut state, keys);
            screen(&state, width, height);
        }
    }
    insta::assert_snapshot!("empty", screen(&State::default(), 60, 12));
}

#[test]
fn hostile_text_is_inert_and_cut() {
    let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{9b}31m\r\n> 1s a approve".repeat(4000);
    assert!(hostile.len() > 100_000);
    let mut state = State::default();
    let mut record = record(
        "p1",
        "me-00000",
        serde_json::json!({ "kind": "workflow-change", "repo": hostile,
        "name": hostile, "new": hostile, "paths": [hostile, hostile] }),
    );
    record.justification = Some(hostile.clone());
    record.state = ProposalState::Pending { failed: Some(hostile) };
    comes(&mut state, record);
    runs(&mut state, revision("me-00000", 1, &serde_json::json!([])));
    let shown = screen(&state, 80, 24);
    insta::assert_snapshot!("hostile", shown);
    types(&mut state, "ao");
    let asked = screen(&state, 80, 24);
    let is_plain =
        |c: char| c == '\n' || !c.is_control() && base::inert(&c.to_string(), 1).chars().count() <= 2;
    assert!(shown.chars().chain(asked.chars()).all(is_plain));
    assert!(asked.contains("Enter sends"), "{asked}");
    // The end of the text is reached in a bounded number of steps, and no further.
    state.act(super::input::Action::Cancel);
    state.scroll = usize::MAX / 2;
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut scroll = 0;
    terminal.draw(|frame| scroll = view::draw(frame, &state, now())).unwrap();
    assert!(scroll < 200, "{scroll}");
}

#[test]
fn what_another_release_wrote_is_counted() {
    let mut state = three();
    let malformed = bus::Malformed { subject: "x".to_owned(), reason: "y".to_owned() };
    state.proposal(Change { key: "p9".to_owned(), value: Some(Err(malformed)) });
    assert!(screen(&state, 100, 24).contains("1 cannot be read"));
}
