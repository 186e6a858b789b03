//! What comes in on `proposal.new`, and what is wrong with it (invariant 6).

use base::id::{ProposalId, Slug};
use bus::message::proposal::{Content, Proposed, content_hash};
use bus::{Malformed, Payload};

/// A message on `proposal.new`. One that cannot be read is still answered, if it says how it is called.
#[derive(Debug)]
pub(crate) enum Arrival {
    Proposed(Box<Proposed>),
    Unreadable { bottle: Slug, proposal: ProposalId, reason: String },
}

impl Payload for Arrival {
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed> {
        Proposed::parse(subject, payload).map(|proposed| Self::Proposed(Box::new(proposed))).or_else(
            |malformed| match named(subject, payload) {
                Some((bottle, proposal)) => {
                    Ok(Self::Unreadable { bottle, proposal, reason: malformed.reason })
                }
                None => Err(malformed),
            },
        )
    }
}

/// The bottle is the one that may publish there, whatever the payload says.
fn named(subject: &str, payload: &[u8]) -> Option<(Slug, ProposalId)> {
    let bottle = subject.rsplit('.').next()?.parse().ok()?;
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    Some((bottle, value.get("proposal")?.as_str()?.parse().ok()?))
}

/// Bytes that a content may have as JSON: a Dockerfile, or a long list of findings.
const LARGEST: usize = 64 * 1024;

/// What is wrong with what an agent asks for, for the agent to read; nothing if a person may see it.
pub(crate) fn objection(proposed: &Proposed) -> Option<String> {
    let content = &proposed.content;
    if content_hash(content) != proposed.hash {
        return Some("its hash is not its content's".to_owned());
    }
    if serde_json::to_vec(content).map_or(LARGEST, |json| json.len()) >= LARGEST {
        return Some("it is larger than 64 KiB".to_owned());
    }
    match content {
        Content::Egress(delta) => policy::check_delta(delta).err().map(|problems| problems.to_string()),
        Content::GitleaksAllow(allow) if allow.objects.is_empty() || allow.findings.is_empty() => {
            Some("it names no object and finding to allow".to_owned())
        }
        Content::WorkflowChange(change) if change.paths.is_empty() => {
            Some("it names no workflow file".to_owned())
        }
        Content::Capability(capability) if capability.dockerfile.trim().is_empty() => {
            Some("its Dockerfile is empty".to_owned())
        }
        Content::GitleaksAllow(_)
        | Content::WorkflowChange(_)
        | Content::Capability(_)
        | Content::TokenMatch(_)
        | Content::RefGrant(_) => None,
    }
}
