use bus::message::Version;
use bus::message::start::StartRequest;
use proptest::prelude::*;

use super::*;

fn turn(result: &str) -> PrTurn {
    let start: StartRequest = serde_json::from_str(r#"{"v":1,"id":"pr-1","agent":"reviewer"}"#).unwrap();
    let at = "2026-11-28T10:00:00Z".parse().unwrap();
    let _: Version<1> = start.v;
    PrTurn {
        start,
        number: 2,
        turn: 2,
        events: Vec::new(),
        trace: None,
        sha: None,
        since: at,
        note: None,
        bottle: Some("reviewer-x1y2z".parse().unwrap()),
        end: Some(PrEnd {
            reason: Some(ExitReason::Completed),
            is_success: true,
            result: Some(result.to_owned()),
            failure: None,
            at,
        }),
        comment: None,
        shown: None,
        status: None,
    }
}

/// The text with its blocks of code left out, as CommonMark finds them: a fence of tildes up to one at least as long.
fn outside(text: &str) -> String {
    let mut open = None;
    let mut outside = String::new();
    for line in text.lines() {
        let tildes = line.chars().take_while(|c| *c == '~').count();
        match open {
            None if tildes >= 3 => open = Some(tildes),
            Some(least) if tildes >= least && line.trim_end().len() == tildes => open = None,
            None => {
                outside.push_str(line);
                outside.push('\n');
            }
            Some(_) => {}
        }
    }
    outside
}

#[test]
fn what_is_posted() {
    let mut turn = turn("All is well, @everybody.\n<script>alert(1)</script> <!-- hidden -->\nCloses #5.");
    turn.note = Some("A fresh session begins.".to_owned());
    let facts = Facts {
        blocked: vec!["GET https://evil.example/`: no route".to_owned()],
        blocked_count: 3,
        waiting: vec!["egress: crates.example".to_owned()],
        waiting_count: 1,
    };
    insta::assert_snapshot!(render(&turn, &facts));
    turn.end = None;
    insta::assert_snapshot!(render(&turn, &Facts::default()));
}

proptest! {
    #[test]
    fn nothing_of_an_agent_is_markup(text in "(?s).{0,200}|[~\\n` @a<!>-]{0,80}") {
        let mut turn = turn(&text);
        turn.end.as_mut().unwrap().failure = Some(text.clone());
        turn.note = Some(text.clone());
        let facts = Facts { blocked: vec![text.clone()], blocked_count: 1, waiting: vec![text.clone()], waiting_count: 1 };
        let rendered = render(&turn, &facts);
        prop_assert_eq!(rendered.matches(&marker(&turn)).count(), 1 + text.matches(&marker(&turn)).count());
        let outside = outside(&rendered);
        for line in outside.lines() {
            // In one line there is one piece of code, between its own two backticks.
            prop_assert!(line.matches('`').count() % 2 == 0, "{line}");
            let free: String = line.split('`').step_by(2).collect();
            prop_assert!(!free.contains('@') && !free.contains('#'), "{free}");
            prop_assert!(!free.contains('<') || free == marker(&turn), "{free}");
        }
    }
}

#[test]
fn an_answer_is_bounded() {
    let rendered = render(&turn(&"x".repeat(100_000)), &Facts::default());
    assert!(rendered.len() < (17 << 10), "{}", rendered.len());
    assert!(rendered.contains("more bytes)"));
}

#[test]
fn every_end_has_its_status() {
    let mut turn = turn("");
    assert_eq!(status(&turn).0, ReportedStatus::Success);
    turn.end.as_mut().unwrap().is_success = false;
    assert_eq!(status(&turn).0, ReportedStatus::Failure);
    turn.end.as_mut().unwrap().reason = None;
    assert_eq!(status(&turn).0, ReportedStatus::Error);
    turn.end = None;
    assert_eq!(status(&turn).0, ReportedStatus::Pending);
}
