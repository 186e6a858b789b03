//! Whether an event may start something, and what: pure decisions (D3, D4).

use bus::message::pr::{PrAction, PrEvent, PrPlan, PrSession, Review, Verdict};
use manifest::dispatch::{Checkout, EventKind, Mode, Permission, Webhook};
use manifest::{DispatchFile, DispatchRule};

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A run.
    Run(PrPlan),
    /// Nothing.
    Nothing(Verdict),
}

/// Whether somebody may start agents, as far as the dispatcher's file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// No.
    Shut(Verdict),
    /// The forge has to be asked for their teams or their permission.
    Ask,
}

/// What the forge says about somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Their permission on the repository; less than writing is none.
    pub permission: Option<Permission>,
    /// Whether they are in one of the teams.
    pub in_team: bool,
}

/// Who may, without asking anybody.
#[must_use]
pub fn gate(webhook: &Webhook, event: &PrEvent) -> Gate {
    let login = event.actor.login.as_str();
    let is = |name: &String| name.eq_ignore_ascii_case(login);
    if is(&webhook.account) {
        return Gate::Shut(Verdict::Own);
    }
    if event.actor.is_bot || webhook.bots.iter().any(is) {
        return Gate::Shut(Verdict::Bot);
    }
    let allow = &webhook.allow;
    if allow.users.iter().any(is) {
        return Gate::Open;
    }
    // What no account can be called is not asked for.
    let is_name = !login.is_empty()
        && !login.starts_with('.')
        && login.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if is_name && (!allow.teams.is_empty() || allow.permission.is_some()) {
        return Gate::Ask;
    }
    Gate::Shut(Verdict::NotAllowed)
}

/// Whether what the forge says is enough.
#[must_use]
pub fn suffices(webhook: &Webhook, standing: &Standing) -> bool {
    let allow = &webhook.allow;
    (standing.in_team && !allow.teams.is_empty())
        || allow.permission.is_some_and(|least| standing.permission.is_some_and(|has| has >= least))
}

/// What is to be done about an event of somebody who may. `before` is the conversation so far.
///
/// # Errors
/// Nothing, and why.
pub fn rule<'a>(
    file: &'a DispatchFile,
    event: &PrEvent,
    before: Option<&PrSession>,
) -> Result<&'a DispatchRule, Verdict> {
    let webhook = file.webhooks.get(&event.webhook).ok_or(Verdict::NoRule)?;
    let kind = kind(&event.what).ok_or(Verdict::NoRule)?;
    let rule = file.rules.iter().find(|rule| is_about(rule, event, kind)).ok_or(Verdict::NoRule)?;
    if rule.mode == Mode::Ignore {
        return Err(Verdict::RuleIgnores);
    }
    happened(rule, webhook, event, before)?;
    let goes_on = before.is_some_and(|before| before.session.is_some() || before.run.is_some());
    if rule.mode == Mode::Resume && !goes_on {
        return Err(Verdict::NothingToResume);
    }
    Ok(rule)
}

/// What a rule says is to be run for an event.
#[must_use]
pub fn plan(rule: &DispatchRule, event: &PrEvent, before: Option<&PrSession>) -> Option<PrPlan> {
    let agent = rule.agent.clone()?;
    let pull = event.pull.as_ref().or(before.and_then(|before| before.pull.as_ref()));
    let (clone, reference) = match (rule.checkout, pull) {
        (Checkout::None, _) | (_, None) => (None, None),
        (Checkout::Head, Some(pull)) if pull.head_repo.as_deref() == Some(&event.repo) => {
            (Some(pull.clone_url.clone()), Some(pull.head.clone()))
        }
        (_, Some(pull)) => (Some(pull.clone_url.clone()), Some(pull.base.clone())),
    };
    let prompt = fill(rule.prompt.as_deref().unwrap_or_default(), event);
    Some(PrPlan { agent, bottles: rule.bottles.clone(), prompt, clone, reference })
}

/// Everything at once, for somebody who may.
#[must_use]
pub fn decide(file: &DispatchFile, event: &PrEvent, before: Option<&PrSession>) -> Decision {
    match rule(file, event, before) {
        Ok(rule) => plan(rule, event, before).map_or(Decision::Nothing(Verdict::NoRule), Decision::Run),
        Err(verdict) => Decision::Nothing(verdict),
    }
}

fn is_about(rule: &DispatchRule, event: &PrEvent, kind: EventKind) -> bool {
    let repo = |wanted: &String| match wanted.strip_suffix("/*") {
        Some(owner) => event.repo.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(owner)),
        None => wanted.eq_ignore_ascii_case(&event.repo),
    };
    let is_draft = event.pull.as_ref().is_some_and(|pull| pull.is_draft);
    rule.webhook.as_ref().is_none_or(|webhook| *webhook == event.webhook)
        && rule.repositories.iter().any(repo)
        && rule.events.contains(&kind)
        && (rule.drafts || !is_draft || kind == EventKind::Comment)
}

/// Whether what the rule is about did happen: a label that was there before was not put on.
fn happened(
    rule: &DispatchRule,
    webhook: &Webhook,
    event: &PrEvent,
    before: Option<&PrSession>,
) -> Result<(), Verdict> {
    let had = before.and_then(|before| before.pull.as_ref());
    match &event.what {
        PrAction::Comment { text } if !crate::text::mentions(text, &webhook.account) => {
            Err(Verdict::NoMention)
        }
        PrAction::Labelled => {
            let has =
                |pull: &bus::message::pr::Pull| rule.label.as_ref().is_some_and(|l| pull.labels.contains(l));
            let is_new = event.pull.as_ref().is_some_and(has) && !had.is_some_and(has);
            if is_new { Ok(()) } else { Err(Verdict::NoLabel) }
        }
        PrAction::Assigned => {
            let has = |pull: &bus::message::pr::Pull| {
                pull.assignees.iter().any(|name| name.eq_ignore_ascii_case(&webhook.account))
            };
            let is_new = event.pull.as_ref().is_some_and(has) && !had.is_some_and(has);
            if is_new { Ok(()) } else { Err(Verdict::NotAssigned) }
        }
        _ => Ok(()),
    }
}

fn kind(what: &PrAction) -> Option<EventKind> {
    Some(match what {
        PrAction::Opened => EventKind::Opened,
        PrAction::Reopened => EventKind::Reopened,
        PrAction::Pushed => EventKind::Pushed,
        PrAction::Labelled => EventKind::Labelled,
        PrAction::Assigned => EventKind::Assigned,
        PrAction::Comment { .. } => EventKind::Comment,
        PrAction::Review { verdict: Review::Approved, .. } => EventKind::Approved,
        PrAction::Review { verdict: Review::Rejected, .. } => EventKind::Rejected,
        PrAction::Review { verdict: Review::Commented, .. } => EventKind::Commented,
        PrAction::Closed => return None,
    })
}

/// Fills in what has no room for instructions: checked names and numbers. It is done in one pass, so that nothing that
/// was filled in is a placeholder.
fn fill(template: &str, event: &PrEvent) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let value = match name {
                "repository" => event.repo.clone(),
                "number" => event.number.to_string(),
                "event" => crate::event::name(&event.what).to_owned(),
                "actor" => base::inert(&event.actor.login, 100),
                _ => return None,
            };
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                text.push_str(&value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
