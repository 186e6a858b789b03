//! The span of one request (E17), made of its record where the line of the log is made: of texts that the scrubber has
//! been through, and of no header and no body.

use std::time::Duration;

use bus::Trace;
use bus::message::egress::{Allowed, Blocked};
use telemetry::{Kind, Span, Tracer, Value};

use crate::journal::{passed, refused};

/// Tells of requests as parts of the bottle's start.
pub(crate) struct Spans {
    tracer: Tracer,
    parent: Trace,
    bottle: Value,
}

impl Spans {
    /// Nothing if nobody wants them.
    pub(crate) fn new(tracer: Tracer, parent: Trace, bottle: &str) -> Option<Self> {
        tracer.is_on().then(|| Self { tracer, parent, bottle: bottle.into() })
    }

    /// Tells of an allowed request, of which the secrets were blotted out already.
    pub(crate) fn allowed(&self, line: &Allowed) {
        let outcome = passed(line);
        let error = (outcome == "failed").then(|| "the origin did not answer".to_owned());
        let mut attributes = vec![
            ("bot_bottle.outcome", outcome.into()),
            ("bot_bottle.exchange.id", line.id.as_str().into()),
            ("bot_bottle.revision", line.revision.into()),
            ("bot_bottle.findings", (line.found.len() as u64).into()),
            ("bot_bottle.unscanned", line.is_unscanned.into()),
            ("http.request.method", line.method.as_str().into()),
            ("url.scheme", line.scheme.as_str().into()),
            ("server.address", line.host.as_str().into()),
            ("server.port", u64::from(line.port).into()),
            ("url.path", line.path.as_str().into()),
            ("http.request.body.size", line.sent.into()),
            ("http.response.body.size", line.received.into()),
        ];
        if line.status != 0 {
            attributes.push(("http.response.status_code", u64::from(line.status).into()));
        }
        self.tell(line.at, Duration::from_millis(line.duration_ms), attributes, error);
    }

    /// Tells of a refused request, of which the secrets were blotted out already.
    pub(crate) fn blocked(&self, line: &Blocked) {
        let mut attributes = vec![
            ("bot_bottle.outcome", refused(line).into()),
            ("bot_bottle.rule", line.rule.as_str().into()),
            ("bot_bottle.exchange.id", line.id.as_str().into()),
            ("bot_bottle.revision", line.revision.into()),
            ("bot_bottle.findings", u64::from(line.found.is_some()).into()),
            ("http.request.method", line.method.as_str().into()),
            ("url.scheme", line.scheme.as_str().into()),
            ("server.address", line.host.as_str().into()),
            ("url.path", line.path.as_str().into()),
            ("http.response.status_code", u64::from(line.status).into()),
        ];
        if let Some(port) = line.port {
            attributes.push(("server.port", u64::from(port).into()));
        }
        self.tell(line.at, Duration::ZERO, attributes, Some(line.reason.clone()));
    }

    fn tell(
        &self,
        start: jiff::Timestamp,
        duration: Duration,
        mut attributes: Vec<(&'static str, Value)>,
        error: Option<String>,
    ) {
        attributes.push(("bot_bottle.bottle", self.bottle.clone()));
        self.tracer.tell(Span {
            name: "egress.request",
            kind: Kind::Client,
            context: self.parent.child(),
            parent: self.parent,
            start,
            duration,
            attributes,
            error,
        });
    }
}
