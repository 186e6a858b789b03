//! From an event to what the trail keeps of it. Texts become inert and bounded here, once.

use base::id::Slug;
use base::inert;
use bus::message::audit::{Component, Decision};
use bus::message::event::Event;
use bus::message::proposal::Resolved;
use bus::message::push::{Finding, RefUpdate};
use bus::message::{egress, push, revision, run};
use bus::{Malformed, Payload};

use super::line::Digest;

/// A message that the trail records, whatever it is.
pub(super) struct Read {
    subject: String,
    bytes: u64,
    digest: Digest,
    what: Result<What, Malformed>,
}

enum What {
    Event(Box<Event>),
    Resolved(Box<Resolved>),
}

impl Payload for Read {
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed> {
        let what = if subject.starts_with("proposal.resolved.") {
            Payload::parse(subject, payload).map(|resolved| What::Resolved(Box::new(resolved)))
        } else {
            Payload::parse(subject, payload).map(|event| What::Event(Box::new(event)))
        };
        let (bytes, digest) = (payload.len() as u64, Digest::of(payload));
        Ok(Self { subject: subject.to_owned(), bytes, digest, what })
    }
}

/// How much is kept of texts and lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    path: usize,
    text: usize,
    items: usize,
}

/// What fits for every message of an honest part.
pub(super) const WIDE: Bounds = Bounds { path: 1024, text: 1000, items: 200 };
/// What fits when a batch is full of long paths.
pub(super) const NARROW: Bounds = Bounds { path: 120, text: 120, items: 200 };

/// Most findings of one request; the proxy reports no more.
const FINDINGS: usize = 16;
/// Most decoders of one finding.
const DECODERS: usize = 8;
const NAME: usize = 260;

impl Read {
    pub(super) fn component(&self) -> Component {
        match self.subject.split('.').next() {
            Some("egress" | "policy") => Component::Egress,
            Some("push") => Component::Gitgate,
            Some("proposal") => Component::Supervisor,
            _ => Component::Launcher,
        }
    }

    pub(super) fn bottle(&self) -> Option<Slug> {
        match &self.what {
            Ok(What::Event(event)) => event.bottle().cloned(),
            Ok(What::Resolved(resolved)) => Some(resolved.bottle.clone()),
            // The last part of such a subject is a request's id.
            Err(_) if self.subject.starts_with("bottle.failed.") => None,
            Err(_) => self.subject.rsplit('.').next().and_then(|name| name.parse().ok()),
        }
    }

    pub(super) fn decision(&self, bounds: Bounds) -> Decision {
        match &self.what {
            Ok(What::Event(event)) => of_event(event, bounds),
            Ok(What::Resolved(resolved)) => of_resolved(resolved, bounds),
            Err(malformed) => self.unreadable(&malformed.reason),
        }
    }

    /// Only its hash.
    pub(super) fn unreadable(&self, reason: &str) -> Decision {
        Decision::Unreadable {
            subject: inert(&self.subject, NAME),
            bytes: self.bytes,
            sha256: self.digest.to_string(),
            reason: inert(reason, 300),
        }
    }
}

fn of_event(event: &Event, bounds: Bounds) -> Decision {
    match event {
        Event::Started(started) => of_started(started),
        Event::Committed(committed) => Decision::Committed {
            archive: inert(&committed.commit.archive, NAME),
            entries: committed.commit.entries,
            bytes: committed.commit.bytes,
            image: committed.commit.image.as_ref().map(|image| inert(&image.id, NAME)),
        },
        Event::Exited(exited) => of_exited(exited),
        Event::Failed(failed) => of_failed(failed, bounds),
        Event::Allowed(log) => {
            let lines = log.lines.iter().map(|line| allowed(line, bounds)).collect();
            Decision::Allowed { batch: log.batch, lines }
        }
        Event::Blocked(blocked) => of_blocked(blocked, bounds),
        Event::PushAccepted(push) => {
            let (refs, more_refs) = refs(&push.refs, bounds);
            Decision::PushAccepted { repo: inert(&push.repo, NAME), refs, more_refs, objects: push.objects }
        }
        Event::PushRejected(push) => of_rejected(push, bounds),
        Event::PolicyRunning(running) => Decision::PolicyRunning {
            revision: running.running,
            refused: running.refused.as_ref().map(|refused| revision::RefusedRevision {
                revision: refused.revision,
                reason: inert(&refused.reason, bounds.text),
            }),
        },
    }
}

fn of_started(started: &run::Started) -> Decision {
    Decision::Started {
        request: started.request.clone(),
        agent: started.agent.clone(),
        bottles: started.bottles.clone(),
        launcher: started.launcher.clone(),
        backend: match &started.runtime {
            Some(runtime) => inert(&format!("{}/{runtime}", started.backend), 40),
            None => inert(&started.backend, 40),
        },
        attempt: started.attempt,
    }
}

fn of_exited(exited: &run::Exited) -> Decision {
    Decision::Exited {
        request: exited.request.clone(),
        reason: exited.reason,
        code: exited.code,
        transcript: exited.transcript.as_deref().map(|name| inert(name, NAME)),
        result: exited.result.as_deref().map(|result| Digest::of(result.as_bytes()).to_string()),
        state: exited.state,
        duration_ms: exited.duration_ms,
    }
}

fn of_failed(failed: &run::Failed, bounds: Bounds) -> Decision {
    Decision::Failed {
        request: failed.request.clone(),
        kind: failed.kind,
        step: failed.step.as_deref().map(|step| inert(step, 40)),
        reason: inert(&failed.reason, bounds.text),
    }
}

fn of_blocked(blocked: &egress::Blocked, bounds: Bounds) -> Decision {
    Decision::Blocked {
        id: blocked.id.clone(),
        method: inert(&blocked.method, 40),
        scheme: inert(&blocked.scheme, 40),
        host: inert(&blocked.host, NAME),
        port: blocked.port,
        path: inert(&blocked.path, bounds.path),
        rule: inert(&blocked.rule, 60),
        reason: inert(&blocked.reason, bounds.text),
        status: blocked.status,
        revision: blocked.revision,
        found: blocked.found.as_ref().map(found),
    }
}

fn allowed(line: &egress::Allowed, bounds: Bounds) -> egress::Allowed {
    egress::Allowed {
        method: inert(&line.method, 40),
        scheme: inert(&line.scheme, 40),
        host: inert(&line.host, NAME),
        path: inert(&line.path, bounds.path),
        found: line.found.iter().take(FINDINGS).map(found).collect(),
        ..line.clone()
    }
}

fn found(found: &egress::Found) -> egress::Found {
    egress::Found {
        detector: inert(&found.detector, 120),
        surface: inert(&found.surface, 40),
        via: found.via.iter().take(DECODERS).map(|via| inert(via, 40)).collect(),
        outcome: found.outcome,
        is_certain: found.is_certain,
    }
}

fn of_rejected(push: &push::Rejected, bounds: Bounds) -> Decision {
    let (refs, more_refs) = refs(&push.refs, bounds);
    let finding = |finding: &Finding| Finding {
        rule: inert(&finding.rule, 120),
        commit: inert(&finding.commit, 64),
        place: inert(&finding.place, bounds.path),
        line: finding.line,
    };
    Decision::PushRejected {
        repo: inert(&push.repo, NAME),
        refs,
        more_refs,
        objects: push.objects,
        reason: inert(&push.reason, bounds.text),
        findings: push.findings.iter().take(bounds.items).map(finding).collect(),
        more_findings: push.findings.len().saturating_sub(bounds.items) as u64,
    }
}

fn refs(refs: &[RefUpdate], bounds: Bounds) -> (Vec<RefUpdate>, u64) {
    let kept = refs.iter().take(bounds.items).map(|update| RefUpdate {
        name: inert(&update.name, NAME),
        old: update.old.as_deref().map(|object| inert(object, 64)),
        new: update.new.as_deref().map(|object| inert(object, 64)),
    });
    (kept.collect(), refs.len().saturating_sub(bounds.items) as u64)
}

fn of_resolved(resolved: &Resolved, bounds: Bounds) -> Decision {
    Decision::Resolved {
        proposal: resolved.proposal.clone(),
        outcome: resolved.outcome,
        scope: resolved.scope,
        revision: resolved.revision,
        reason: resolved.reason.as_deref().map(|reason| inert(reason, bounds.text)),
        // Signed: one changed letter would make it nobody's.
        answer: resolved.decision.clone(),
    }
}
