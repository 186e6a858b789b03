//! Scan back: what an answer must not bring to the agent (E10): the bottle's own secrets, which an origin may echo, and
//! instructions to the model that reads it.
//!
//! Secrets are blotted out, lengths stay; instructions are refused, or marked where it is not sure that they are some.
//! Bodies are judged as they come and in constant memory; clean ones pass byte for byte.

mod accept;
mod head;
mod judge;
mod screening;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use base::Secret;
use bus::message::egress::{Found, Outcome};
use http::response::Parts;
use policy::{Detectors as Named, Dlp};
use scan::{Detectors, Enabled, Finding, Known, Rules, TooComplex};

pub(crate) use accept::restrict;
pub(crate) use screening::Screening;

use crate::body::Inbound;
use crate::coded::Coded;
use crate::inspect::{Surface, found};
use crate::metrics::Times;
use crate::refusal::Refusal;
use head::Reading;
pub(crate) use judge::Judge;

/// What a route has its answers watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The bottle's secrets: wherever there is a credential to be echoed, or anything else is watched for.
    pub(crate) secrets: bool,
    /// `naive_injection_detection`.
    pub(crate) injection: bool,
}

impl Watch {
    /// What the route's `dlp` says, with the default of every route.
    pub(crate) fn new(dlp: Option<&Dlp>, has_credential: bool) -> Self {
        let injection = !matches!(dlp.and_then(|dlp| dlp.inbound_detectors.as_ref()), Some(Named::Off(_)));
        Self { secrets: has_credential || injection, injection }
    }

    pub(crate) fn is_on(self) -> bool {
        self.secrets || self.injection
    }
}

/// What all answers to a bottle are screened with.
pub(crate) struct Screen {
    secrets: Option<Arc<Secrets>>,
    /// Bytes that a coded body may unpack into.
    decoded_bytes: u64,
    /// Where the time that this takes is counted, if it is.
    pub(crate) times: Option<Times>,
}

/// The search for the bottle's secrets, and for nothing else.
struct Secrets(Arc<Detectors>);

impl Secrets {
    const ENABLED: Enabled = Enabled { token_patterns: false, known_secrets: true, entropy: false };

    fn scan(&self, text: &[u8]) -> Result<Vec<Finding>, TooComplex> {
        self.0.scan(text, Self::ENABLED, &scan::Shape::Plain)
    }
}

impl Screen {
    /// Looks for `secrets`, named as in the policy. `key` is for digests, which nobody reads here.
    ///
    /// # Errors
    /// There are more of them than one search can hold.
    pub(crate) fn new(
        secrets: &BTreeMap<String, Secret>,
        key: Secret,
        decoded_bytes: u64,
    ) -> anyhow::Result<Self> {
        let known = secrets.iter().map(|(name, value)| Known {
            name: name.as_str().into(),
            value: value.clone(),
            is_canary: false,
        });
        let rules = Rules::parse("", "no rules").context("preparing the search for secrets in answers")?;
        let detectors = Detectors::new(Arc::new(rules), known.collect(), key);
        let secrets = (!secrets.is_empty()).then(|| Arc::new(Secrets(Arc::new(detectors))));
        Ok(Self { secrets, decoded_bytes, times: None })
    }

    /// Judges an answer: its head, and its body as far as it can be collected. What follows is judged as it passes.
    ///
    /// # Errors
    /// It must not reach the agent, or cannot be judged.
    pub(crate) async fn admit(
        &self,
        watch: Watch,
        parts: &mut Parts,
        body: &mut Inbound,
    ) -> Result<(), Refusal> {
        let secrets = self.secrets.as_ref().filter(|_| watch.secrets);
        head::forget_mark(&mut parts.headers);
        if let Some(secrets) = secrets {
            for found in head::scrub_head(parts, secrets)? {
                body.received.note(found);
            }
        }
        if body.received.is_over() {
            return Ok(());
        }
        let reading = if watch.injection { head::reading(&parts.headers) } else { Reading::Skip };
        if secrets.is_none() && reading == Reading::Skip {
            return Ok(());
        }
        let is_events = head::is_event_stream(&parts.headers);
        let coded = Coded::new(&parts.headers, self.decoded_bytes);
        let coded = coded.map_err(|error| Refusal::UnscannableAnswer(error.to_string()))?;
        let judge =
            Judge::new(secrets.cloned(), reading, is_events, coded.is_some()).timed(self.times.clone());
        let mut screening = Screening::new(judge, coded, is_events);
        screening.collect(&mut body.received).await?;
        if let Some(mark) = screening.mark() {
            head::mark(&mut parts.headers, mark);
        }
        body.screening = Some(screening);
        Ok(())
    }

    /// The judgement of one WebSocket message; `None` where there is nothing to look for.
    pub(crate) fn message(&self, watch: Watch, is_text: bool) -> Option<Judge> {
        let secrets = self.secrets.as_ref().filter(|_| watch.secrets);
        let reading = if watch.injection && is_text { Reading::Text } else { Reading::Skip };
        let is_judged = secrets.is_some() || reading != Reading::Skip;
        is_judged.then(|| Judge::new(secrets.cloned(), reading, false, false))
    }

    /// Judges the head of an answer that has no body.
    ///
    /// # Errors
    /// As [`Screen::admit`].
    pub(crate) fn admit_head(&self, watch: Watch, parts: &mut Parts) -> Result<Vec<Found>, Refusal> {
        match self.secrets.as_ref().filter(|_| watch.secrets) {
            Some(secrets) => head::scrub_head(parts, secrets),
            None => Ok(Vec::new()),
        }
    }
}

/// A secret in an answer, as it is told of.
fn echoed(finding: &Finding, outcome: Outcome) -> Found {
    found(finding, Surface::Answer, outcome)
}
