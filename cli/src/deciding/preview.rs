//! What an answer would change, before it is given. Pure; the supervisor judges for itself.

use bus::message::proposal::{Content, Edited};
use policy::{EgressPolicy, Problems};

use super::card::Line;

/// What approving it as it is would do.
///
/// # Errors
/// Why it cannot be approved; inert.
pub fn approval(content: &Content, policy: &EgressPolicy) -> Result<Vec<Line>, String> {
    let plain = |text: &str| Ok(vec![Line::Plain(text.to_owned())]);
    match content {
        Content::Egress(delta) => policy::grant(policy, delta)
            .map(|granted| changed(policy, &granted.policy))
            .map_err(|problems| said(&problems)),
        Content::TokenMatch(_) => plain("what was found leaves for that host"),
        Content::GitleaksAllow(_) => plain("these findings pass, in these objects only"),
        Content::WorkflowChange(_) => {
            plain("the push changes what the forge runs, with the forge's own secrets")
        }
        Content::RefGrant(_) => plain("the ref changes as it says"),
        Content::Capability(_) => {
            Err("no backend builds images yet; reject it, and change the image yourself".to_owned())
        }
    }
}

/// What granting something else instead would do.
///
/// # Errors
/// What is wrong with the edit; inert.
pub fn edited(edited: &Edited, policy: &EgressPolicy) -> Result<Vec<Line>, String> {
    let next = match edited {
        Edited::Delta { delta } => policy::grant(policy, delta).map(|granted| granted.policy),
        Edited::Route { route } => policy::put_route(policy, (**route).clone()),
    };
    next.map(|next| changed(policy, &next)).map_err(|problems| said(&problems))
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
