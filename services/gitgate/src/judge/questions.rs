//! What a person is asked about a push, and what is said while they think.

use std::time::Duration;

use bus::message::proposal::{Content, GitleaksAllow, RefGrant, WorkflowChange};
use manifest::WorkflowRule;
use tokio::time::Instant;

use super::asking::{Answer, Asking, Nobody, Question};
use super::naming::in_lines;
use super::rules::Wanted;
use super::work::Judged;
use crate::progress::Progress;
use crate::push::Push;

/// Refs that a person is asked about at once.
pub(crate) const REFS: usize = 8;
/// Workflow files that are named in one question.
const PATHS: usize = 100;
/// Bytes that a question may have as JSON, a little less than the supervisor takes.
const QUESTION: usize = 60 * 1024;
/// Between two words to the person who waits.
const WORD: Duration = Duration::from_secs(20);

/// The question whether a ref may change so.
pub(crate) fn ref_grant(repo: &str, wanted: &Wanted) -> Content {
    Content::RefGrant(RefGrant {
        repo: repo.to_owned(),
        name: wanted.name.to_string(),
        change: wanted.change,
        old: wanted.old.as_ref().map(ToString::to_string),
        new: wanted.new.as_ref().map(ToString::to_string),
    })
}

/// What has to be granted before a push may pass; nothing for most.
///
/// # Errors
/// Why nobody can grant it, for the person who pushes.
pub(crate) fn of(push: &Push, judged: &Judged, rule: WorkflowRule) -> Result<Vec<Content>, String> {
    let mut contents = Vec::new();
    if !judged.findings.is_empty() || judged.more > 0 {
        contents.push(findings(push, judged)?);
    }
    let changes = push.updates.iter().zip(&judged.workflows).filter(|(_, paths)| !paths.is_empty());
    for (update, paths) in changes {
        match rule {
            WorkflowRule::Allow => {}
            WorkflowRule::Refuse => {
                let shown = paths.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "{} changes what the forge runs ({shown}), which this bottle may not",
                    update.name
                ));
            }
            WorkflowRule::Ask => {
                let mut paths = paths.clone();
                if paths.len() > PATHS {
                    let more = paths.len() - PATHS;
                    paths.truncate(PATHS);
                    paths.push(format!("and {more} more"));
                }
                contents.push(Content::WorkflowChange(WorkflowChange {
                    repo: push.repo.clone(),
                    name: update.name.to_string(),
                    new: update.new.as_ref().map(ToString::to_string).unwrap_or_default(),
                    paths,
                }));
            }
        }
    }
    if contents.len() > REFS {
        return Err(format!(
            "{} of its refs change what the forge runs: push fewer refs at a time",
            contents.len()
        ));
    }
    Ok(contents)
}

fn findings(push: &Push, judged: &Judged) -> Result<Content, String> {
    let count = judged.findings.len() as u64 + judged.more;
    let (noun, them) = if count == 1 { ("secret", "it") } else { ("secrets", "them") };
    let lines = in_lines(&judged.findings, judged.more);
    let refusal = |advice: &str| {
        let head = format!("the push holds what looks like {count} {noun}; nothing was sent on:");
        [&[head], lines.as_slice(), &[advice.to_owned()]].concat().join("\n")
    };
    let Some(objects) = &judged.excused else {
        return Err(refusal(&format!(
            "take {them} out of every commit that is pushed (git rebase, git commit --amend), and push again"
        )));
    };
    let content = Content::GitleaksAllow(GitleaksAllow {
        repo: push.repo.clone(),
        objects: objects.iter().cloned().collect(),
        findings: judged.findings.clone(),
    });
    if serde_json::to_vec(&content).map_or(true, |json| json.len() > QUESTION) {
        return Err(refusal("these are too many to ask a person about: push fewer commits at a time"));
    }
    Ok(content)
}

/// What a question is about, for the person who pushes.
fn subject(content: &Content) -> String {
    match content {
        Content::GitleaksAllow(allow) => {
            let what = "what looks like secrets, which comments or ignore files of the push excuse:";
            [&[what.to_owned()], in_lines(&allow.findings, 0).as_slice()].concat().join("\n")
        }
        Content::WorkflowChange(change) => {
            let more = change.paths.len().saturating_sub(5);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = change.paths.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            format!("{} changes what the forge runs: {shown}{rest}", change.name)
        }
        Content::RefGrant(grant) => format!("{} is asked for", grant.name),
        other => other.kind().as_str().to_owned(),
    }
}

/// The questions of one push that wait, each with what it is about.
pub(crate) type Asked = Vec<(Question, String)>;

impl Asking {
    /// Asks for what is not granted yet, and waits for all of it.
    ///
    /// # Errors
    /// Why the push may not pass, for the person who pushes.
    pub(crate) async fn settle(
        &self,
        contents: &[Content],
        hold: Duration,
        progress: &Progress,
    ) -> Result<(), String> {
        let mut asked: Asked = Vec::new();
        for content in contents.iter().filter(|content| !self.is_granted(content)) {
            let subject = subject(content);
            // Who answers about workflows late has answered the next push.
            let wait = matches!(content, Content::GitleaksAllow(_)).then_some(hold);
            match self.propose(content.clone(), wait).await {
                Ok(question) => {
                    subject.lines().for_each(|line| progress.say(line));
                    progress.say(&format!("a person is asked, as proposal {}", question.proposal));
                    asked.push((question, subject));
                }
                Err(why) => return Err(format!("{subject}\nthis needs a person's approval: {why}")),
            }
        }
        let end = super::after(hold);
        for (question, subject) in &mut asked {
            self.await_one(question, subject, end, progress).await?;
        }
        Ok(())
    }

    async fn await_one(
        &self,
        question: &mut Question,
        subject: &str,
        end: Instant,
        progress: &Progress,
    ) -> Result<(), String> {
        loop {
            let proposal = question.proposal.clone();
            match self.wait(question, end.min(super::after(WORD))).await {
                Answer::Granted => {
                    progress.say(&format!("proposal {proposal} was approved"));
                    return Ok(());
                }
                Answer::Denied { outcome, reason } => {
                    let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                    let word = format!("{outcome:?}").to_lowercase();
                    return Err(format!("{subject}\nproposal {proposal} was {word}{why}"));
                }
                Answer::None if Instant::now() >= end => {
                    return Err(format!(
                        "{subject}\nnobody has answered proposal {proposal} in time: push again, with the answer if it has come, or to ask again"
                    ));
                }
                Answer::None => {
                    let left = end.saturating_duration_since(Instant::now()).as_secs();
                    progress.say(&format!("waiting for an answer to proposal {proposal}, {left} s more"));
                }
            }
        }
    }

    /// Asks about refs without waiting; what the person who pushes is told.
    pub(crate) async fn propose_all(&self, contents: Vec<Content>) -> Vec<String> {
        let mut lines = Vec::new();
        for content in contents {
            let about = subject(&content);
            match self.propose(content, None).await {
                Ok(question) => lines.push(format!(
                    "{about} as proposal {0}: `wait` for {0} with the MCP tool, and push again when it is approved",
                    question.proposal
                )),
                Err(why @ (Nobody::Off | Nobody::Away)) => return vec![format!("a person could grant it, but {why}")],
                Err(why) => lines.push(format!("a person could grant it, but {why}")),
            }
        }
        lines
    }
}
