//! A delivery's payload as one of the events that there are (D2). Only what was signed decides: headers say which forge's
//! names are used, and no more.

mod payload;

use bus::message::Version;
use bus::message::pr::{Actor, PrAction, PrEvent, Pull, Review};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::text::bounded;
use payload::{Payload, PullRequest, User};

/// Bytes of a description, a comment or a review that are kept.
const TEXT: usize = 8 << 10;
/// Bytes of a title, a branch or a label that are kept.
const WORD: usize = 512;
/// Labels and assignees that are kept.
const MOST: usize = 50;

/// What a payload is.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// One of our events.
    Event {
        /// The event.
        event: Box<PrEvent>,
        /// When it happened, as the forge says.
        happened: Timestamp,
    },
    /// Something else.
    Other(Other),
}

/// Why a delivery is none of our events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Other {
    /// Another kind of event.
    Kind,
    /// Another action.
    Action,
    /// A comment on an issue that is no pull request.
    Issue,
}

/// Why a payload cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON, or lacks a field.
    #[error("it is not what a forge sends: {0}")]
    Json(String),
    /// A name in it is none.
    #[error("it names no repository that could be: {0}")]
    Repository(String),
}

/// Where a delivery came in, and what its headers say.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The webhook's name.
    pub webhook: &'a str,
    /// The forge's id of the delivery.
    pub delivery: &'a str,
    /// The forge's name of the event's kind.
    pub kind: &'a str,
    /// When it arrived.
    pub at: Timestamp,
}

/// Reads what was signed.
///
/// # Errors
/// It is one of the kinds that there are, and not in its form.
pub fn read(envelope: Envelope<'_>, signed: &str) -> Result<Reading, Unreadable> {
    let known = envelope.kind == "issue_comment" || envelope.kind.starts_with("pull_request");
    if !known {
        // Even so a forge sends JSON.
        let any = serde_json::from_str::<serde::de::IgnoredAny>(signed);
        any.map_err(|error| Unreadable::Json(base::inert(&error.to_string(), 200)))?;
        return Ok(Reading::Other(Other::Kind));
    }
    let payload: Payload = serde_json::from_str(signed)
        .map_err(|error| Unreadable::Json(base::inert(&error.to_string(), 200)))?;
    let what = match action(&payload) {
        Ok(what) => what,
        Err(other) => return Ok(Reading::Other(other)),
    };
    let repo = payload.repository.full_name.clone();
    if !is_repository(&repo) {
        return Err(Unreadable::Repository(base::inert(&repo, 80)));
    }
    let number =
        payload.pull_request.as_ref().map(|pull| pull.number).or(payload.issue.as_ref().map(|i| i.number));
    let Some(number) = number.or(payload.number).filter(|number| *number > 0) else {
        return Err(Unreadable::Json("it has no number of a pull request".to_owned()));
    };
    let pull = payload.pull_request.as_ref().map(|pull| pull_of(pull, &payload.repository.clone_url));
    let happened = payload.comment.as_ref().and_then(|comment| comment.created_at);
    let happened = happened.or(pull.as_ref().map(|pull| pull.updated_at)).unwrap_or(envelope.at);
    let event = PrEvent {
        v: Version,
        webhook: envelope.webhook.to_owned(),
        delivery: envelope.delivery.to_owned(),
        digest: hex::encode(Sha256::digest(signed.as_bytes())),
        repo,
        number,
        at: envelope.at,
        actor: actor(&payload.sender),
        what,
        pull,
    };
    Ok(Reading::Event { event: Box::new(event), happened })
}

/// What happened. Gitea calls a plain comment's type and a review comment's event `pull_request_comment`, so the kind
/// alone does not tell them apart.
fn action(payload: &Payload) -> Result<PrAction, Other> {
    let action = payload.action.as_str();
    if let Some(review) = &payload.review {
        let verdict = match (action, review.verdict()) {
            ("reviewed" | "submitted", Some(verdict)) => verdict,
            _ => return Err(Other::Action),
        };
        return Ok(PrAction::Review { verdict, text: bounded(review.text(), TEXT) });
    }
    if let Some(comment) = &payload.comment {
        if !payload.is_pull && payload.issue.as_ref().is_some_and(|issue| issue.pull_request.is_none()) {
            return Err(Other::Issue);
        }
        return match action {
            "created" => Ok(PrAction::Comment { text: bounded(&comment.body, TEXT) }),
            _ => Err(Other::Action),
        };
    }
    if payload.pull_request.is_none() {
        return Err(Other::Kind);
    }
    match action {
        "opened" => Ok(PrAction::Opened),
        "reopened" => Ok(PrAction::Reopened),
        "synchronized" | "synchronize" => Ok(PrAction::Pushed),
        "closed" => Ok(PrAction::Closed),
        "label_updated" | "label_cleared" | "labeled" | "unlabeled" => Ok(PrAction::Labelled),
        "assigned" | "unassigned" => Ok(PrAction::Assigned),
        _ => Err(Other::Action),
    }
}

fn pull_of(pull: &PullRequest, clone_url: &str) -> Pull {
    let words = |names: Vec<&str>| names.into_iter().take(MOST).map(|name| bounded(name, WORD)).collect();
    Pull {
        title: bounded(&pull.title, WORD),
        body: bounded(pull.body.as_deref().unwrap_or_default(), TEXT),
        author: bounded(&pull.user.login, WORD),
        base: bounded(&pull.base.reference, WORD),
        head: bounded(&pull.head.reference, WORD),
        head_repo: pull.head.repo.as_ref().map(|repo| bounded(&repo.full_name, WORD)),
        sha: bounded(&pull.head.sha, 64),
        is_draft: pull.draft,
        is_closed: pull.state == "closed" || pull.merged,
        labels: words(pull.labels.iter().flatten().map(|label| label.name.as_str()).collect()),
        assignees: words(pull.assignees.iter().flatten().map(|user| user.login.as_str()).collect()),
        clone_url: bounded(clone_url, 4 * WORD),
        updated_at: pull.updated_at,
    }
}

fn actor(user: &User) -> Actor {
    let login = &user.login;
    // Forges' own accounts have no positive id; GitHub's applications say what they are.
    let is_bot = user.id <= 0
        || user.kind.as_deref() == Some("Bot")
        || login.ends_with("[bot]")
        || matches!(login.as_str(), "gitea-actions" | "forgejo-actions");
    Actor { login: bounded(login, 100), is_bot }
}

/// `owner/name` of the characters that forges allow in names.
fn is_repository(text: &str) -> bool {
    let good = |part: &str| {
        (1..=100).contains(&part.len())
            && !matches!(part, "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    text.split_once('/').is_some_and(|(owner, name)| good(owner) && good(name))
}

/// The verdict's name.
#[must_use]
pub fn name(what: &PrAction) -> &'static str {
    match what {
        PrAction::Opened => "opened",
        PrAction::Reopened => "reopened",
        PrAction::Pushed => "pushed",
        PrAction::Closed => "closed",
        PrAction::Labelled => "labelled",
        PrAction::Assigned => "assigned",
        PrAction::Comment { .. } => "comment",
        PrAction::Review { verdict: Review::Approved, .. } => "approved",
        PrAction::Review { verdict: Review::Rejected, .. } => "rejected",
        PrAction::Review { verdict: Review::Commented, .. } => "commented",
    }
}
