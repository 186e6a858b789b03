//! Whether a session may go on: a pure decision.

use base::id::{AgentName, BottleName, RequestId, Slug};
use bus::message::record::{BottleRecord, BottleState};
use bus::message::start::Resume;

use super::{ResumePlan, Resumed};

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) resume: &'a Resume,
    pub(super) request: &'a RequestId,
    pub(super) agent: &'a AgentName,
    pub(super) bottles: &'a [BottleName],
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "there is no bottle {0} that could be resumed; `bot-bottle list --all` shows them, and they are forgotten 30 days after they end"
    )]
    Unknown(Slug),
    #[error("{bottle} ran the agent {agent}; a session goes on with its own, so name that one")]
    OtherAgent { bottle: Slug, agent: AgentName },
    #[error("{bottle} ran in other bottles than were asked for; a session goes on in its own, so name none")]
    OtherBottles { bottle: Slug },
    #[error("{0} still runs: wait for its end, or end it with `bot-bottle stop {0}`")]
    Runs(Slug),
    #[error(
        "{0} ran a program without sessions; with the provider `command` the bottle's file says what makes one up, `session: {{paths: [...]}}`"
    )]
    NoSession(Slug),
    #[error("name the session of {0} by its id, which `bot-bottle info {0}` shows")]
    NotNamed(Slug),
    #[error("{bottle} did not run the session {given}; `bot-bottle info {bottle}` shows which one it ran")]
    OtherSession { bottle: Slug, given: String },
    #[error(
        "no transcript of {0} is stored, so its session cannot go on; a fresh one with the same agent and bottles is `bot-bottle resume {0} --fresh`"
    )]
    NoTranscript(Slug),
    #[error(
        "the environment of {bottle} was committed, and its archive {archive} is not on the bus any more, which keeps one for 30 days; `bot-bottle resume {bottle} --fresh` begins without it"
    )]
    NoArchive { bottle: Slug, archive: String },
    #[error(
        "{bottle} was committed with the image {name} ({id}), which is not on this host's engine any more; bring it back with `docker load`, or `bot-bottle resume {bottle} --fresh` begins without the commit"
    )]
    NoImage { bottle: Slug, name: String, id: String },
    #[error("the session went on as {next}: resume that one with `bot-bottle resume {next}`")]
    WentOn { next: Slug },
    #[error(
        "{next} is going on with the session right now, and a session has one turn at a time; wait for its end"
    )]
    GoesOn { next: Slug },
}

/// Decides. `last` is the record of the bottle to resume, `next` that of the one that `last` names as the next.
pub(super) fn judge(
    asked: &Asked<'_>,
    last: Option<&BottleRecord>,
    next: Option<&BottleRecord>,
) -> Result<ResumePlan, Refusal> {
    let bottle = asked.resume.bottle.clone();
    let last = last.ok_or_else(|| Refusal::Unknown(bottle.clone()))?;
    if last.agent != *asked.agent {
        return Err(Refusal::OtherAgent { bottle, agent: last.agent.clone() });
    }
    if !asked.bottles.is_empty() && last.bottles != asked.bottles {
        return Err(Refusal::OtherBottles { bottle });
    }
    let commit = last.commit.clone().filter(|_| !asked.resume.fresh);
    let session = match &commit {
        _ if asked.resume.fresh => None,
        // Without a session there are no turns to take: whoever likes goes on in what was committed.
        Some(_) if is_without_session(asked, last) && last.state.is_live() => {
            return Err(Refusal::Runs(bottle));
        }
        Some(_) if is_without_session(asked, last) => None,
        _ => Some(resumed(asked, last, next)?),
    };
    Ok(ResumePlan { bottle, agent: last.agent.clone(), bottles: last.bottles.clone(), session, commit })
}

/// Whether there is no session that could go on, and none is asked for.
fn is_without_session(asked: &Asked<'_>, last: &BottleRecord) -> bool {
    asked.resume.session.is_none() && last.session.as_ref().is_none_or(|session| session.id.is_none())
}

fn resumed(asked: &Asked<'_>, last: &BottleRecord, next: Option<&BottleRecord>) -> Result<Resumed, Refusal> {
    let bottle = last.bottle.clone();
    if last.state.is_live() {
        return Err(Refusal::Runs(bottle));
    }
    let session = last.session.as_ref().ok_or_else(|| Refusal::NoSession(bottle.clone()))?;
    let given = asked.resume.session.as_ref().ok_or_else(|| Refusal::NotNamed(bottle.clone()))?;
    if let Some(next) = next.filter(|next| went_on(asked, next)) {
        let name = next.bottle.clone();
        let refusal = if next.state.is_live() {
            Refusal::GoesOn { next: name }
        } else {
            Refusal::WentOn { next: name }
        };
        return Err(refusal);
    }
    let Some(id) = session.id.as_ref() else { return Err(Refusal::NoTranscript(bottle)) };
    if id != given {
        return Err(Refusal::OtherSession { bottle, given: base::inert(given, 80) });
    }
    let transcript = session.transcript.clone().ok_or(Refusal::NoTranscript(bottle))?;
    Ok(Resumed { id: id.clone(), provider: session.provider.clone(), turns: session.turns, transcript })
}

/// Whether the session is with the next bottle now. One that never ran does not have it, nor one whose launcher died or
/// was stopped: its request runs again from the beginning, and that is this one.
fn went_on(asked: &Asked<'_>, next: &BottleRecord) -> bool {
    let is_stored = next.session.as_ref().is_some_and(|session| session.transcript.is_some());
    match next.state {
        BottleState::Starting | BottleState::Running | BottleState::Settling | BottleState::Exited => true,
        BottleState::Failed => false,
        BottleState::Lost => is_stored && next.request != *asked.request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: impl FnOnce(&mut serde_json::Value)) -> BottleRecord {
        let mut value = serde_json::json!({
            "v": 1, "bottle": "me-00000", "request": "r0", "attempt": 1, "agent": "me", "bottles": ["dev"],
            "launcher": "l1", "backend": "namespace", "state": "exited", "label": "me",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "session": { "provider": "command", "id": "s1", "turns": 2, "transcript": "me-00000" },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn judged(
        asked: &str,
        bottles: &[&str],
        last: Option<&BottleRecord>,
        next: Option<&BottleRecord>,
    ) -> Result<ResumePlan, Refusal> {
        let resume: Resume = serde_json::from_str(asked).unwrap();
        let bottles: Vec<BottleName> = bottles.iter().map(|name| name.parse().unwrap()).collect();
        let (request, agent) = ("r1".parse().unwrap(), "me".parse().unwrap());
        judge(&Asked { resume: &resume, request: &request, agent: &agent, bottles: &bottles }, last, next)
    }

    const BY_ID: &str = r#"{"bottle":"me-00000","session":"s1"}"#;
    const FRESH: &str = r#"{"bottle":"me-00000","fresh":true}"#;

    #[test]
    fn a_session_goes_on_by_its_id_with_its_own_agent_and_bottles() {
        let last = record(|_| ());
        for bottles in [&[][..], &["dev"]] {
            let plan = judged(BY_ID, bottles, Some(&last), None).unwrap();
            assert_eq!(plan.bottles, last.bottles);
            let session = plan.session.unwrap();
            assert_eq!(
                (session.id.as_str(), session.turns, session.transcript.as_str()),
                ("s1", 2, "me-00000")
            );
        }
        let words = |asked, bottles: &[&str], last: Option<&BottleRecord>| {
            judged(asked, bottles, last, None).unwrap_err().to_string()
        };
        let other = record(|value| value["agent"] = "you".into());
        let runs = record(|value| value["state"] = "running".into());
        let without = record(|value| value["session"] = serde_json::Value::Null);
        let unnamed = record(|value| value["session"]["id"] = serde_json::Value::Null);
        let unstored = record(|value| value["session"]["transcript"] = serde_json::Value::Null);
        for (said, expected) in [
            (words(BY_ID, &[], None), "no bottle me-00000"),
            (words(BY_ID, &[], Some(&other)), "ran the agent you"),
            (words(BY_ID, &["dev", "more"], Some(&last)), "other bottles"),
            (words(BY_ID, &[], Some(&runs)), "still runs"),
            (words(BY_ID, &[], Some(&without)), "without sessions"),
            (words(BY_ID, &[], Some(&unnamed)), "no transcript"),
            (words(BY_ID, &[], Some(&unstored)), "--fresh"),
            (words(r#"{"bottle":"me-00000"}"#, &[], Some(&last)), "by its id"),
            (
                words(r#"{"bottle":"me-00000","session":"s2"}"#, &[], Some(&last)),
                "did not run the session s2",
            ),
            (words(FRESH, &["more"], Some(&last)), "other bottles"),
            (words(FRESH, &[], Some(&other)), "ran the agent you"),
            (words(FRESH, &[], None), "no bottle me-00000"),
        ] {
            assert!(said.contains(expected), "{said}");
        }
        for last in [last, runs, without, unstored] {
            assert_eq!(judged(FRESH, &[], Some(&last), None).unwrap().session, None);
        }
    }

    fn committed(value: &mut serde_json::Value) {
        value["commit"] = serde_json::json!({
            "bottle": "me-00000", "archive": "me-00000.x", "at": "2026-01-01T00:00:00Z",
            "entries": 1, "bytes": 1, "size": 1,
        });
    }

    #[test]
    fn a_commit_goes_with_its_session_or_without_any() {
        const NO_ID: &str = r#"{"bottle":"me-00000"}"#;
        let last = record(committed);
        let plan = judged(BY_ID, &[], Some(&last), None).unwrap();
        assert!(plan.session.is_some() && plan.commit == last.commit);
        let fresh = judged(FRESH, &[], Some(&last), None).unwrap();
        assert_eq!((fresh.session, fresh.commit), (None, None));
        // A session is never left out without a word.
        assert_eq!(judged(NO_ID, &[], Some(&last), None), Err(Refusal::NotNamed(last.bottle.clone())));
        let unstored = record(|value| {
            committed(value);
            value["session"]["transcript"] = serde_json::Value::Null;
        });
        assert_eq!(
            judged(BY_ID, &[], Some(&unstored), None),
            Err(Refusal::NoTranscript(last.bottle.clone()))
        );
        for session in [serde_json::Value::Null, serde_json::json!({ "provider": "p", "turns": 1 })] {
            let without = |state: &str| {
                record(|value| {
                    committed(value);
                    value["session"] = session.clone();
                    value["state"] = state.into();
                })
            };
            let plan = judged(NO_ID, &[], Some(&without("exited")), None).unwrap();
            assert!(plan.session.is_none() && plan.commit.is_some());
            let runs = judged(NO_ID, &[], Some(&without("running")), None);
            assert_eq!(runs, Err(Refusal::Runs(last.bottle.clone())));
            assert!(judged(BY_ID, &[], Some(&without("exited")), None).is_err());
        }
    }

    #[test]
    fn a_session_has_one_turn_at_a_time_and_goes_on_from_its_end() {
        let last = record(|value| value["session"]["resumed_as"] = "me-00001".into());
        let next = |state: &str, stored: bool, request: &str| {
            record(|value| {
                value["bottle"] = "me-00001".into();
                value["state"] = state.into();
                value["request"] = request.into();
                if !stored {
                    value["session"]["transcript"] = serde_json::Value::Null;
                }
            })
        };
        for (state, stored, request, expected) in [
            ("starting", false, "r0", Some("right now")),
            ("running", false, "r0", Some("right now")),
            ("settling", false, "r0", Some("right now")),
            ("exited", true, "r0", Some("resume me-00001")),
            ("exited", false, "r0", Some("resume me-00001")),
            ("failed", false, "r0", None),
            ("lost", false, "r0", None),
            ("lost", true, "r0", Some("resume me-00001")),
            ("lost", true, "r1", None),
        ] {
            let judged = judged(BY_ID, &[], Some(&last), Some(&next(state, stored, request)));
            match expected {
                None => assert!(judged.is_ok(), "{state} {stored} {request}"),
                Some(words) => {
                    let said = judged.unwrap_err().to_string();
                    assert!(said.contains(words), "{state}: {said}");
                }
            }
        }
        // One that nobody knows any more did not go on.
        assert!(judged(BY_ID, &[], Some(&last), None).is_ok());
    }
}
