//! What an answer would change, before it is given. Pure; the supervisor judges for itself.

use bus::message::proposal::{Content, Edited, ProposalRecord};
use policy::{EgressPolicy, Problems};

use super::card::Line;
use super::diff::{Side, diff};

/// What approving it as it is would do.
///
/// # Errors
/// Why it cannot be approved; inert.
pub fn approval(record: &ProposalRecord, policy: &EgressPolicy) -> Result<Vec<Line>, String> {
    let plain = |text: &str| Ok(vec![Line::Plain(text.to_owned())]);
    match &record.content {
        Content::Egress(delta) => policy::grant(policy, delta)
            .map(|granted| changed(policy, &granted.policy))
            .map_err(|problems| said(&problems)),
        Content::TokenMatch(_) => plain("what was found leaves for that host"),
        Content::GitleaksAllow(_) => plain("these findings pass, in these objects only"),
        Content::WorkflowChange(_) => {
            plain("the push changes what the forge runs, with the forge's own secrets")
        }
        Content::RefGrant(_) => plain("the ref changes as it says"),
        Content::Capability(asked) => Ok(built(record, &asked.dockerfile)),
    }
}

/// What granting something else instead would do.
///
/// # Errors
/// What is wrong with the edit; inert.
pub fn edited(record: &ProposalRecord, edited: &Edited, policy: &EgressPolicy) -> Result<Vec<Line>, String> {
    let next = match edited {
        Edited::Delta { delta } => policy::grant(policy, delta).map(|granted| granted.policy),
        Edited::Dockerfile { dockerfile } if dockerfile.trim().is_empty() => {
            return Err("the Dockerfile is empty".to_owned());
        }
        Edited::Dockerfile { dockerfile } => return Ok(built(record, dockerfile)),
        Edited::Route { route } => policy::put_route(policy, (**route).clone()),
    };
    next.map(|next| changed(policy, &next)).map_err(|problems| said(&problems))
}

/// What a resume of the bottle is made of then. All of it is shown, and no line is cut: what is not seen would be built.
fn built(record: &ProposalRecord, dockerfile: &str) -> Vec<Line> {
    let whole = |line: &str| base::inert(line, usize::MAX);
    let bottle = &record.bottle;
    let mut lines = vec![Line::Plain(format!(
        "{bottle} is committed, and an image is built, with the engine's own network, in which a resume of it goes on:"
    ))];
    let before = record.before.as_deref();
    lines.extend(diff(before.unwrap_or_default(), dockerfile).into_iter().map(|side| match side {
        Side::Both(line) => Line::Plain(format!("  {}", whole(line))),
        Side::Old(line) => Line::Gone(format!("- {}", whole(line))),
        Side::New(line) => Line::Come(format!("+ {}", whole(line))),
    }));
    if before.is_none() {
        lines.push(Line::Plain("the bottle's image is of no Dockerfile; this takes its place".to_owned()));
    }
    lines
}

// `Problems` are inert by contract.
fn said(problems: &Problems) -> String {
    problems.to_string()
}

fn changed(old: &EgressPolicy, new: &EgressPolicy) -> Vec<Line> {
    let lines: Vec<_> = policy::difference(old, new).into_iter().map(differing).collect();
    if lines.is_empty() {
        return vec![Line::Plain("nothing: the policy allows all of it already".to_owned())];
    }
    lines
}

/// A line of [`policy::difference()`].
#[must_use]
pub fn differing(line: String) -> Line {
    if line.starts_with('-') { Line::Gone(line) } else { Line::Come(line) }
}
