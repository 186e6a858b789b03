//! A proposal in words. All of it may come from an agent: what leaves this module is inert, and cut.

use base::inert;
use bus::message::proposal::{Content, Outcome, ProposalRecord, ProposalState, RefChange, Resolved};
use bus::message::revision::PolicyRevision;
use jiff::Timestamp;
use policy::EgressDelta;
use policy::difference::of_entry;

use super::preview;
use crate::commands::list::age;

/// Characters of a justification that are shown; `proposals show --json` has all that was kept.
const JUSTIFICATION: usize = 2000;
/// Characters of any other text.
const TEXT: usize = 300;
/// Lines of why an approval was not applied.
const REASONS: usize = 20;
/// Items of a list.
const ITEMS: usize = 12;

/// One line of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A name and what it is.
    Field(&'static str, String),
    /// What the next lines are about.
    Heading(String),
    /// A text of its own.
    Plain(String),
    /// Something that a person should not overlook.
    Warning(String),
    /// What an approval would take away.
    Gone(String),
    /// What an approval would add.
    Come(String),
}

/// Everything about a proposal that helps to answer it. `current` is the bottle's policy, if it still has one.
#[must_use]
pub fn lines(record: &ProposalRecord, current: Option<&PolicyRevision>, now: Timestamp) -> Vec<Line> {
    let mut lines = vec![
        Line::Field("proposal", record.proposal.to_string()),
        Line::Field("bottle", record.bottle.to_string()),
        Line::Field("kind", record.content.kind().as_str().to_owned()),
    ];
    lines.extend(asked(&record.content));
    lines.push(Line::Field("asked", times(record, now)));
    if let Some(earlier) = &record.asks_again {
        lines.push(Line::Warning(format!("it was rejected before, as {earlier}")));
    }
    lines.extend(state(record, now));
    if record.is_open() {
        lines.extend(effect(record, current));
    }
    // Last, since it may be long, and is the agent's own.
    if let Some(why) = &record.justification {
        lines.push(Line::Heading("why, in the agent's words".to_owned()));
        lines.push(Line::Plain(inert(why, JUSTIFICATION)));
    }
    lines
}

fn times(record: &ProposalRecord, now: Timestamp) -> String {
    let ago = |at: Timestamp| age(now.duration_since(at).as_secs());
    match record.count {
        0 | 1 => format!("{} ago", ago(record.first)),
        count => format!("{count} times, first {} ago, last {} ago", ago(record.first), ago(record.last)),
    }
}

fn state(record: &ProposalRecord, now: Timestamp) -> Vec<Line> {
    match &record.state {
        ProposalState::Pending { failed } => {
            let left = age(record.until.duration_since(now).as_secs());
            let mut lines = vec![Line::Field("state", format!("waits for you; expires in {left}"))];
            // A build that failed has its last lines.
            for (place, why) in failed.iter().flat_map(|why| why.lines()).take(REASONS).enumerate() {
                let why = inert(why, JUSTIFICATION);
                lines.push(match place {
                    0 => Line::Warning(format!("the last approval was not applied: {why}")),
                    _ => Line::Plain(why),
                });
            }
            lines
        }
        ProposalState::Applying { .. } => {
            vec![Line::Field("state", "approved; its change is on the way".to_owned())]
        }
        ProposalState::Resolved { resolved, .. } => vec![Line::Field("state", ended(resolved))],
    }
}

/// How a proposal ended: `approved for this bottle, runs as revision 3: because`.
#[must_use]
pub fn ended(resolved: &Resolved) -> String {
    let scope = resolved.scope.map_or_else(String::new, |scope| format!(" ({})", scope.as_str()));
    let runs = resolved.revision.map_or_else(String::new, |revision| format!(", revision {revision} runs"));
    let bottle = &resolved.bottle;
    let image = resolved.image.as_deref().map_or_else(String::new, |image| {
        let image = inert(image, TEXT);
        format!(", {image} is built; once {bottle} is over go on in it with `bot-bottle resume {bottle}`")
    });
    let why = resolved.reason.as_deref().filter(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {}", inert(why, TEXT)));
    format!("{}{scope}{runs}{image}{why}", outcome(resolved.outcome))
}

/// An outcome in one word.
#[must_use]
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approved => "approved",
        Outcome::Modified => "modified",
        Outcome::Rejected => "rejected",
        Outcome::Expired => "expired",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Refused => "refused",
    }
}

/// What approving it as it is would do.
fn effect(record: &ProposalRecord, current: Option<&PolicyRevision>) -> Vec<Line> {
    let Some(current) = current else {
        return vec![Line::Warning("the bottle has no policy any more: it can only be rejected".to_owned())];
    };
    let mut lines = vec![Line::Heading(format!("what an approval changes (revision {})", current.revision))];
    lines.extend(match preview::approval(record, &current.policy) {
        Ok(lines) => lines,
        Err(why) => vec![Line::Warning(format!("it cannot be approved as it is: {why}"))],
    });
    lines
}

/// What is asked for, in one line.
#[must_use]
pub fn summary(content: &Content) -> String {
    let text = match content {
        // An entry in words is inert already.
        Content::Egress(delta) => return cut(&format!("{} {}", inert(&place(delta), TEXT), entry(delta))),
        Content::TokenMatch(held) => format!(
            "{} in {} of {} {}://{}{}",
            held.detector, held.surface, held.method, held.scheme, held.host, held.path
        ),
        Content::GitleaksAllow(push) => {
            let rules = some(push.findings.iter().map(|finding| finding.rule.clone()));
            let count = push.findings.len();
            format!("{}: {count} {} ({rules})", push.repo, if count == 1 { "finding" } else { "findings" })
        }
        Content::WorkflowChange(push) => {
            format!("{} {}: {}", push.repo, push.name, some(push.paths.iter().cloned()))
        }
        Content::RefGrant(grant) => format!("{}: {} {}", grant.repo, change(grant.change), grant.name),
        Content::Capability(wanted) => format!("a Dockerfile of {} lines", wanted.dockerfile.lines().count()),
    };
    inert(&text, TEXT)
}

/// The host that it is about, if it is about one and that is a host's name or address.
#[must_use]
pub fn host(content: &Content) -> Option<policy::Host> {
    match content {
        Content::Egress(delta) => policy::Host::parse(&delta.host).ok(),
        Content::TokenMatch(held) => policy::Host::parse(&held.host).ok(),
        _ => None,
    }
}

fn place(delta: &EgressDelta) -> String {
    let port = delta.port.map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", delta.scheme.as_str(), delta.host)
}

fn entry(delta: &EgressDelta) -> String {
    of_entry(&delta.entry().unwrap_or_default())
}

fn change(change: RefChange) -> &'static str {
    match change {
        RefChange::Create => "create",
        RefChange::Update => "update",
        RefChange::Force => "force",
        RefChange::Delete => "delete",
    }
}

/// What is left of a text that is inert already.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first few of a list.
fn some(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(3);
    let first: Vec<_> = items.take(3).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

/// What is asked for, in full but for what is too long.
fn asked(content: &Content) -> Vec<Line> {
    let field = |name, value: &str| Line::Field(name, inert(value, TEXT));
    match content {
        Content::Egress(delta) => vec![
            field("to", &place(delta)),
            // Inert already.
            Line::Field("requests", entry(delta)),
        ],
        Content::TokenMatch(held) => {
            let port = held.port.map_or_else(String::new, |port| format!(":{port}"));
            let url = format!("{}://{}{port}{}", held.scheme, held.host, held.path);
            let via = if held.via.is_empty() {
                String::new()
            } else {
                format!(", through {}", held.via.join(", "))
            };
            vec![
                field("request", &format!("{} {url}", held.method)),
                field("found", &format!("{} in {}{via}", held.detector, held.surface)),
            ]
        }
        Content::GitleaksAllow(push) => {
            let finding = |found: &bus::message::push::Finding| {
                let line = found.line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{} at {}{line} ({})", found.rule, found.place, found.commit)
            };
            let mut lines = vec![field("repository", &push.repo)];
            lines.extend(list("found", push.findings.iter().map(finding)));
            lines.extend(list("object", push.objects.iter().cloned()));
            lines
        }
        Content::WorkflowChange(push) => {
            let mut lines =
                vec![field("repository", &push.repo), field("ref", &push.name), field("object", &push.new)];
            lines.extend(list("file", push.paths.iter().cloned()));
            lines
        }
        Content::RefGrant(grant) => {
            let object = |object: &Option<String>| object.clone().unwrap_or_else(|| "nothing".to_owned());
            vec![
                field("repository", &grant.repo),
                field("ref", &format!("{} {}", change(grant.change), grant.name)),
                field("object", &format!("from {} to {}", object(&grant.old), object(&grant.new))),
            ]
        }
        Content::Capability(wanted) => {
            vec![Line::Field("Dockerfile", format!("{} lines", wanted.dockerfile.lines().count()))]
        }
    }
}

fn list(name: &'static str, items: impl ExactSizeIterator<Item = String>) -> Vec<Line> {
    let more = items.len().saturating_sub(ITEMS);
    let mut lines: Vec<_> = items.take(ITEMS).map(|item| Line::Field(name, inert(&item, TEXT))).collect();
    if more > 0 {
        lines.push(Line::Plain(format!("and {more} more")));
    }
    lines
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record as the bus has it.
    pub(crate) fn record(id: &str, bottle: &str, content: serde_json::Value) -> ProposalRecord {
        let content: Content = serde_json::from_value(content).unwrap();
        serde_json::from_value(serde_json::json!({
            "v": 1, "bottle": bottle, "proposal": id, "hash": bus::message::proposal::content_hash(&content),
            "content": content, "base": 1, "first": "2026-11-21T12:00:00Z", "last": "2026-11-21T12:00:00Z",
            "count": 1, "sequence": 1, "until": "2026-11-22T12:00:00Z", "state": { "is": "pending" },
        }))
        .unwrap()
    }

    pub(crate) fn egress(id: &str, bottle: &str, host: &str) -> ProposalRecord {
        let content = serde_json::json!({ "kind": "egress", "host": host, "methods": ["GET"],
            "paths": [{ "type": "prefix", "value": "/docs" }] });
        record(id, bottle, content)
    }

    pub(crate) fn now() -> Timestamp {
        "2026-11-21T12:03:00Z".parse().unwrap()
    }

    pub(crate) fn revision(bottle: &str, revision: u64, routes: &serde_json::Value) -> PolicyRevision {
        serde_json::from_value(serde_json::json!({
            "v": 1, "bottle": bottle, "revision": revision, "policy": { "routes": routes },
        }))
        .unwrap()
    }

    fn shown(record: &ProposalRecord, current: Option<&PolicyRevision>) -> String {
        crate::commands::proposals::show::render(&lines(record, current, now()))
    }

    #[test]
    fn a_card_says_what_is_asked_and_what_an_approval_changes() {
        let mut record = egress("p1", "me-00000", "docs.example");
        (record.count, record.justification) = (3, Some("to read".to_owned()));
        let current = revision("me-00000", 2, &serde_json::json!([{ "host": "a.example" }]));
        insta::assert_snapshot!(shown(&record, Some(&current)), @r#"
        proposal     p1
        bottle       me-00000
        kind         egress
        to           https://docs.example
        requests     GET to /docs and below
        asked        3 times, first 3m ago, last 3m ago
        state        waits for you; expires in 23h

        what an approval changes (revision 2)
          + https://docs.example GET to /docs and below

        why, in the agent's words
          to read
        "#);
    }

    #[test]
    fn a_dockerfile_is_shown_whole_beside_the_one_that_is() {
        let long = format!("RUN true{}; \u{1b}evil", " ".repeat(TEXT * 3));
        let many: String = (0..ITEMS * 3).map(|number| format!("RUN {number}\n")).collect();
        let dockerfile = format!("FROM a\n{long}\n{many}");
        let mut record =
            record("p1", "me-00000", serde_json::json!({ "kind": "capability", "dockerfile": dockerfile }));
        record.before = Some("FROM a\nRUN old\n".to_owned());
        let current = revision("me-00000", 2, &serde_json::json!([]));
        let shown = shown(&record, Some(&current));
        assert!(shown.contains("    FROM a\n  - RUN old\n") && shown.contains(r"; \u{1b}evil"), "{shown}");
        assert!(
            (0..ITEMS * 3).all(|number| shown.lines().any(|line| line == format!("  + RUN {number}"))),
            "{shown}"
        );
    }

    #[test]
    fn each_kind_has_a_line() {
        let kinds = [
            serde_json::json!({ "kind": "egress", "host": "a.example", "scheme": "http", "port": 8080 }),
            serde_json::json!({ "kind": "token-match", "request": "x1", "method": "POST", "scheme": "https",
                "host": "a.example", "path": "/p", "detector": "github-pat", "surface": "body", "value": "00" }),
            serde_json::json!({ "kind": "gitleaks-allow", "repo": "r", "objects": ["ab"],
                "findings": [{ "rule": "key", "commit": "cd", "place": "a.txt", "line": 3 }] }),
            serde_json::json!({ "kind": "workflow-change", "repo": "r", "name": "refs/heads/m", "new": "ab",
                "paths": ["1", "2", "3", "4"] }),
            serde_json::json!({ "kind": "ref-grant", "repo": "r", "name": "refs/heads/m", "change": "force" }),
            serde_json::json!({ "kind": "capability", "dockerfile": "FROM a\nRUN b\n" }),
        ];
        let lines = kinds.map(|kind| summary(&serde_json::from_value(kind).unwrap()));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        http://a.example:8080 every method to every path
        github-pat in body of POST https://a.example/p
        r: 1 finding (key)
        r refs/heads/m: 1, 2, 3 and 1 more
        r: force refs/heads/m
        a Dockerfile of 2 lines
        "#);
    }

    #[test]
    fn what_an_agent_wrote_is_inert_and_cut() {
        let hostile = "\u{1b}[2J\u{202e}\u{9b}31m\r\nstate        approved\u{e0041}".repeat(4000);
        let mut record = record(
            "p1",
            "me-00000",
            serde_json::json!({ "kind": "token-match", "request": "x1",
            "method": hostile, "scheme": hostile, "host": hostile, "path": hostile, "detector": hostile,
            "surface": hostile, "via": [hostile], "value": hostile }),
        );
        record.justification = Some(hostile.clone());
        record.state = ProposalState::Pending { failed: Some(hostile.clone()) };
        let shown = shown(&record, None);
        assert!(shown.len() < 40_000, "{}", shown.len());
        let is_plain = |c: char| c == '\n' || (c.is_ascii() && !c.is_ascii_control()) || c == '…';
        assert!(shown.chars().all(is_plain) && summary(&record.content).chars().all(is_plain));
        assert_eq!(shown.lines().filter(|line| line.starts_with("state")).count(), 1, "{shown}");
        assert_eq!(host(&record.content), None);
    }
}
