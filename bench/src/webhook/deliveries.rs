//! Deliveries that differ in their pull request, each signed as Gitea does.

use anyhow::Context as _;
use base::Secret;
use base::clock::Clock;
use bus::message::Version;
use bus::message::pr::{Noted, PrEvent, PrSession, Verdict};
use dispatcher::event::{self, Envelope, Reading};
use dispatcher::signature::sign;
use jiff::Timestamp;
use serde_json::Value;

/// What they are signed with.
pub(super) const SECRET: &str = "of the benchmarks";
/// One that Gitea sent.
const KEPT: &str = include_str!("../../../services/dispatcher/tests/deliveries/opened.json");
/// What is known of a pull request that has gone on for a while.
const SEEN: u64 = 30;
const NOTED: u64 = 20;

/// See the module.
pub(super) struct Deliveries {
    kept: Value,
}

impl Deliveries {
    /// All by one account.
    pub(super) fn of(actor: &str) -> Self {
        let mut kept: Value = serde_json::from_str(KEPT).unwrap_or_default();
        kept["body"]["sender"]["login"] = actor.into();
        kept["body"]["pull_request"]["updated_at"] = Clock::System.now().to_string().into();
        Self { kept }
    }

    fn body(&self, number: u64) -> String {
        let mut body = self.kept["body"].clone();
        body["number"] = number.into();
        body["pull_request"]["number"] = number.into();
        serde_json::to_string_pretty(&body).unwrap_or_default()
    }

    /// How large a body is.
    pub(super) fn size(&self) -> usize {
        self.body(1).len()
    }

    /// A whole request about a pull request, as it goes over the wire.
    pub(super) fn request(&self, number: u64) -> Vec<u8> {
        let body = self.body(number);
        let signature = sign(&Secret::new(SECRET.to_owned()), body.as_bytes());
        let mut head = "POST /webhook/team HTTP/1.1\r\nHost: localhost\r\n".to_owned();
        for (name, value) in self.kept["headers"].as_object().into_iter().flatten() {
            head += &format!("{name}: {}\r\n", value.as_str().unwrap_or_default());
        }
        head += &format!("X-Gitea-Signature: {signature}\r\nX-Gogs-Signature: {signature}\r\n");
        head += &format!(
            "X-Hub-Signature: sha1={}\r\nX-Hub-Signature-256: sha256={signature}\r\n",
            &signature[..40]
        );
        head += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        head.into_bytes()
    }

    fn event(&self, number: u64) -> anyhow::Result<PrEvent> {
        let at = Clock::System.now();
        let envelope = Envelope { webhook: "team", delivery: "d", kind: "pull_request", at };
        match event::read(envelope, &self.body(number))? {
            Reading::Event { event, .. } => Ok(*event),
            Reading::Other(_) => anyhow::bail!("it is an event"),
        }
    }

    /// What is stored of one.
    pub(super) fn stored(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.event(1)?)?)
    }

    /// An open pull request's conversation, between two runs.
    pub(super) fn conversation(&self, number: u64, at: Timestamp) -> anyhow::Result<PrSession> {
        let event = self.event(number)?;
        let mut session = dispatcher::machine::new(&event);
        let earlier = at - jiff::SignedDuration::from_hours(1);
        session.pull = event.pull.clone().map(|pull| bus::message::pr::Pull { updated_at: earlier, ..pull });
        session.agent = Some("reviewer".parse().context("an agent")?);
        session.bottle = Some(format!("reviewer-{number:05}").parse().context("a slug")?);
        session.session = Some(format!("{number:032x}"));
        (session.turns, session.runs) = (3, 3);
        session.carried = Some("It is fine, but for the second case. ".repeat(20));
        session.seen = (0..SEEN).map(|seen| format!("{:024x}", number * SEEN + seen)).collect();
        let noted = Noted {
            delivery: "6f1d2c3b-0000-4000-8000-000000000001".to_owned(),
            event: "pushed".to_owned(),
            actor: "ann".to_owned(),
            verdict: Verdict::Runs,
            trace: Some(bus::Trace::random()),
            at: earlier,
        };
        session.noted = (0..NOTED).map(|_| noted.clone()).collect();
        session.v = Version;
        Ok(session)
    }
}
