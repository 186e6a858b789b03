//! What an agent reads when a call returns: what became of it, and what to do next. Pure.

use base::id::ProposalId;
use bus::message::proposal::{Edited, Outcome, Resolved, Verdict};
use jiff::Timestamp;
use policy::EgressDelta;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

use super::words;

/// What became of a call, as a program reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is allowed now, as asked for.
    Approved,
    /// It is allowed now, as the operator edited it.
    Modified,
    /// Nobody has answered yet.
    Pending,
    /// A person said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// It was taken back.
    Withdrawn,
    /// Nobody was asked, or could be.
    Refused,
    /// The bus or the supervisor is away.
    Unavailable,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Answer {
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proposal: Option<ProposalId>,
    /// What is allowed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allowed: Option<String>,
    /// What the person said, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip)]
    pub(super) text: String,
}

/// Longest shown reason.
const SHOWN: usize = 1000;

impl Answer {
    pub(super) fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, proposal: None, allowed: None, reason: None, text: text.into() }
    }

    /// Nobody is asked. `why` is inert and says what to change.
    pub(super) fn refused(why: &str) -> Self {
        let reason = Some(why.to_owned());
        Self { reason, ..Self::new(Status::Refused, format!("Nobody was asked: {why}.")) }
    }

    /// The bus or the supervisor is away. `doing` says what did not happen.
    pub(super) fn unavailable(doing: &str) -> Self {
        let text = format!(
            "The supervisor cannot be reached now: {doing}. What is allowed stays as it is. Go on with something else and try \
             again in a minute."
        );
        Self::new(Status::Unavailable, text)
    }

    /// Nobody has to be asked.
    pub(super) fn allowed_already(delta: &EgressDelta) -> Self {
        let allowed = words::delta(delta);
        let text = format!(
            "Allowed already: {allowed}. No person was asked. If such a request was refused nevertheless, its refusal says \
             what else is wrong with it."
        );
        Self { allowed: Some(allowed), ..Self::new(Status::Approved, text) }
    }

    /// Nobody has answered yet.
    pub(super) fn pending(proposal: &ProposalId, until: Option<Timestamp>) -> Self {
        let until = until.map(|until| format!(" It waits until {until:.0}.")).unwrap_or_default();
        let text = format!(
            "Pending: no person has answered proposal {proposal} yet.{until} Go on with something else, then call wait with \
             {{\"proposal\": \"{proposal}\"}}; or withdraw it if it is not needed any more."
        );
        Self { proposal: Some(proposal.clone()), ..Self::new(Status::Pending, text) }
    }

    /// How a proposal ended. `asked` is what it asked for, if that is still known.
    pub(super) fn resolved(resolved: &Resolved, asked: Option<&EgressDelta>) -> Self {
        let proposal = &resolved.proposal;
        let reason = resolved.reason.as_deref().map(|reason| base::inert(reason, SHOWN));
        let because = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let scope = words::scope(resolved.scope);
        let edited = resolved.decision.as_ref().and_then(|decision| edited(&decision.verdict));
        let allowed = match resolved.outcome {
            Outcome::Modified => edited.map(words::edited),
            Outcome::Approved => asked.map(words::delta),
            _ => None,
        };
        if let (Outcome::Approved | Outcome::Modified, Some(image)) = (resolved.outcome, &resolved.image) {
            return Self { reason, ..Self::built(resolved, image, &because) };
        }
        let now = allowed.as_deref().unwrap_or("what was asked for");
        let (status, text) = match resolved.outcome {
            Outcome::Approved => (
                Status::Approved,
                format!("Approved (proposal {proposal}){because}. Allowed {scope}: {now}. Try again now."),
            ),
            Outcome::Modified => {
                let asked =
                    asked.map(|asked| format!(" You asked for {}.", words::delta(asked))).unwrap_or_default();
                let text = format!(
                    "Approved with changes (proposal {proposal}){because}. Allowed {scope}: {now}.{asked} Keep to what is \
                     allowed; ask for more only with another reason."
                );
                (Status::Modified, text)
            }
            Outcome::Rejected => (
                Status::Rejected,
                format!(
                    "Rejected by a person (proposal {proposal}){because}. Do not ask for the same again without a better \
                     justification; look for another way."
                ),
            ),
            Outcome::Expired => (
                Status::Expired,
                format!("Proposal {proposal} has expired{because}. Ask again if it is still needed."),
            ),
            Outcome::Withdrawn => (Status::Withdrawn, format!("Proposal {proposal} is withdrawn.")),
            Outcome::Refused => (Status::Refused, format!("No person was asked{because}.")),
        };
        Self { proposal: Some(proposal.clone()), allowed, reason, ..Self::new(status, text) }
    }

    /// An image was built, which this bottle will never see.
    fn built(resolved: &Resolved, image: &str, because: &str) -> Self {
        let Resolved { proposal, bottle, .. } = resolved;
        let (status, how) = match resolved.outcome {
            Outcome::Modified => (Status::Modified, "Approved with changes"),
            _ => (Status::Approved, "Approved"),
        };
        let text = format!(
            "{how} (proposal {proposal}){because}. The image {} was built, and what you have made was committed. You go on in \
             the old image: the new one is there once this bottle is over and a person runs `bot-bottle resume {bottle}`. \
             Finish what can be done without it, say what is left to do, and end.",
            base::inert(image, 200)
        );
        Self { proposal: Some(proposal.clone()), ..Self::new(status, text) }
    }

    /// Adds a sentence.
    pub(super) fn and(mut self, sentence: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(sentence);
        self
    }

    /// Whether the agent did not get what it called for.
    fn is_error(&self) -> bool {
        match self.status {
            Status::Approved | Status::Modified | Status::Pending | Status::Withdrawn => false,
            Status::Rejected | Status::Expired | Status::Refused | Status::Unavailable => true,
        }
    }
}

fn edited(verdict: &Verdict) -> Option<&Edited> {
    match verdict {
        Verdict::Modify { edited, .. } => Some(edited),
        Verdict::Approve { .. } | Verdict::Reject => None,
    }
}

impl From<Answer> for CallToolResult {
    fn from(answer: Answer) -> Self {
        let content = vec![ContentBlock::text(answer.text.clone())];
        let mut result = if answer.is_error() { Self::error(content) } else { Self::success(content) };
        result.structured_content = serde_json::to_value(&answer).ok();
        result
    }
}

#[cfg(test)]
mod tests {
    use bus::message::proposal::OperatorKey;
    use serde_json::{Value, json};

    use super::*;

    fn resolved(outcome: &str, more: &Value) -> Resolved {
        let mut resolved = json!({
            "v": 1, "bottle": "me-00000", "proposal": "P1", "outcome": outcome, "at": "2026-01-01T00:00:00Z",
        });
        resolved.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(resolved).unwrap()
    }

    fn signed(edited: &Value) -> Value {
        json!({
            "v": 1, "proposal": "P1", "hash": "h", "base": 1, "at": "2026-01-01T00:00:00Z", "operator": OperatorKey::generate().id(),
            "signature": "", "verdict": { "is": "modify", "scope": "bottle", "edited": edited },
        })
    }

    fn asked() -> EgressDelta {
        serde_json::from_value(json!({ "host": "a.example", "paths": [{ "type": "exact", "value": "/x" }] }))
            .unwrap()
    }

    #[test]
    fn an_answer_says_what_to_do_next() {
        let told = |resolved: &Resolved| {
            let answer = Answer::resolved(resolved, Some(&asked()));
            format!("{}{}", answer.text, if answer.is_error() { " [error]" } else { "" })
        };
        let delta = json!({ "as": "delta", "delta": { "host": "a.example", "methods": ["GET"] } });
        let all = [
            told(&resolved("approved", &json!({ "scope": "once", "reason": "go on" }))),
            told(&resolved("modified", &json!({ "scope": "bottle", "decision": signed(&delta) }))),
            told(&resolved("approved", &json!({ "scope": "bottle", "image": "bot-bottle/agent:00" }))),
            told(&resolved("rejected", &json!({ "reason": "no\u{1b}[2J" }))),
            told(&resolved("expired", &json!({}))),
            told(&resolved("withdrawn", &json!({}))),
            told(&resolved("refused", &json!({ "reason": "too much" }))),
            Answer::pending(&"P1".parse().unwrap(), None).text,
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        Approved (proposal P1): go on. Allowed once: the next request that needs it, within ten minutes: every method to https://a.example/x. Try again now.
        Approved with changes (proposal P1). Allowed until this bottle ends: GET to https://a.example, every path. You asked for every method to https://a.example/x. Keep to what is allowed; ask for more only with another reason.
        Approved (proposal P1). The image bot-bottle/agent:00 was built, and what you have made was committed. You go on in the old image: the new one is there once this bottle is over and a person runs `bot-bottle resume me-00000`. Finish what can be done without it, say what is left to do, and end.
        Rejected by a person (proposal P1): no\u{1b}[2J. Do not ask for the same again without a better justification; look for another way. [error]
        Proposal P1 has expired. Ask again if it is still needed. [error]
        Proposal P1 is withdrawn.
        No person was asked: too much. [error]
        Pending: no person has answered proposal P1 yet. Go on with something else, then call wait with {"proposal": "P1"}; or withdraw it if it is not needed any more.
        "#);
    }

    #[test]
    fn a_granted_route_names_no_token_and_no_address() {
        let route = json!({ "as": "route", "route": {
            "host": "a.example", "auth": { "scheme": "Bearer", "token_ref": "THE_TOKEN" },
            "connect_to": "127.0.0.1:9", "allow_private": ["127.0.0.0/8"],
        } });
        let answer = Answer::resolved(&resolved("modified", &json!({ "decision": signed(&route) })), None);
        let told = serde_json::to_string(&answer).unwrap() + &answer.text;
        assert!(told.contains("a.example"));
        assert!(!told.contains("THE_TOKEN") && !told.contains("127.0.0"), "{told}");
    }
}
