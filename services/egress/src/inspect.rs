//! Scan out: what a request holds that must not leave (E9, E11).
//!
//! The head is judged before anything is dialled; a body as it comes, and nothing of it leaves before it was judged. A
//! small body is judged as a whole before its request goes anywhere, so that most refusals never reach the origin.

mod body;
mod head;
mod holds;
mod verdict;

use std::sync::Arc;

use bus::message::egress::{Found, Outcome};
use handover::sidecar::EgressLimits;
use policy::{Detectors as Named, Dlp, OnMatch};
use scan::{Detector, Detectors, Enabled, Finding};

pub(crate) use body::{Judged, Judging};
pub(crate) use head::inspect_head;
pub(crate) use holds::Holds;

use crate::metrics::ScanTimes;
use crate::record::note;
use crate::refusal::{Asked, Refusal};
use verdict::{Verdict, verdict};

/// What a route has scanned, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanning {
    pub(crate) enabled: Enabled,
    pub(crate) on_match: OnMatch,
}

impl Scanning {
    /// What the route's `dlp` says, with the defaults of a manifest's route.
    pub(crate) fn new(dlp: Option<&Dlp>) -> Self {
        let enabled = match dlp.and_then(|dlp| dlp.outbound_detectors.as_ref()) {
            None => Enabled::default(),
            Some(Named::Off(_)) => Enabled { token_patterns: false, known_secrets: false, entropy: false },
            Some(Named::Named(names)) => {
                let is_named = |name: &str| names.iter().any(|named| named == name);
                Enabled {
                    token_patterns: is_named("token_patterns"),
                    known_secrets: is_named("known_secrets"),
                    entropy: is_named("entropy"),
                }
            }
        };
        let on_match = dlp.and_then(|dlp| dlp.outbound_on_match).unwrap_or(OnMatch::Supervise);
        Self { enabled, on_match }
    }

    /// Whether the route asks for any detector. If not, only the canary is looked for, and a body that cannot be
    /// decoded is looked at as it is.
    pub(crate) fn is_on(self) -> bool {
        self.enabled.token_patterns || self.enabled.known_secrets || self.enabled.entropy
    }
}

/// What all requests of a bottle are scanned with.
pub(crate) struct Scanner {
    pub(crate) detectors: Arc<Detectors>,
    pub(crate) holds: Arc<Holds>,
    /// Bytes that a coded body may unpack into.
    pub(crate) decoded_bytes: u64,
    has_canary: bool,
    /// Where the time that they take is counted, if it is.
    pub(crate) times: Option<ScanTimes>,
}

impl Scanner {
    pub(crate) fn new(
        detectors: Detectors,
        has_canary: bool,
        holds: Arc<Holds>,
        limits: &EgressLimits,
    ) -> Self {
        Self {
            detectors: Arc::new(detectors),
            holds,
            decoded_bytes: limits.decoded_bytes,
            has_canary,
            times: None,
        }
    }

    /// Whether requests of a route have to be looked at.
    pub(crate) fn looks_for_anything(&self, scanning: Scanning) -> bool {
        self.has_canary || scanning.is_on()
    }
}

/// The scan of one request.
#[derive(Clone)]
pub(crate) struct Inspection {
    pub(crate) scanner: Arc<Scanner>,
    pub(crate) scanning: Scanning,
    pub(crate) asked: Arc<Asked>,
    pub(crate) revision: u64,
    notes: Arc<Notes>,
}

/// What was found in a request that went through.
pub(crate) type Notes = std::sync::Mutex<Vec<Found>>;

/// Where in a request something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Host,
    Path,
    Query,
    Header,
    Body,
    Trailer,
    Message,
    Answer,
}

impl Surface {
    /// Its name in records and refusals.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "headers",
            Self::Body => "body",
            Self::Trailer => "trailers",
            Self::Message => "WebSocket message",
            Self::Answer => "answer",
        }
    }

    /// Whether a part of it can be blotted out without making another request of it.
    fn can_be_redacted(self) -> bool {
        !matches!(self, Self::Host | Self::Path)
    }
}

/// What a finding comes to in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Pass,
    Redact,
}

impl Inspection {
    pub(crate) fn new(scanner: Arc<Scanner>, scanning: Scanning, asked: Arc<Asked>, revision: u64) -> Self {
        Self { scanner, scanning, asked, revision, notes: Arc::default() }
    }

    /// The same request, of which something was noted before.
    pub(crate) fn resumed(self, notes: Option<Arc<Notes>>) -> Self {
        Self { notes: notes.unwrap_or_default(), ..self }
    }

    /// What was found and let through so far.
    pub(crate) fn notes(&self) -> Arc<Notes> {
        Arc::clone(&self.notes)
    }

    /// Decides what becomes of a finding, with a person's help if need be.
    ///
    /// # Errors
    /// It may not leave.
    pub(crate) async fn judge(&self, finding: &Finding, surface: Surface) -> Result<Action, Refusal> {
        let is_approved = self.scanner.holds.is_approved(finding.digest, &self.asked.host, &self.asked.id);
        match verdict(&finding.detector, self.scanning.on_match, surface.can_be_redacted(), is_approved) {
            Verdict::Pass => {
                let outcome = if is_approved { Outcome::Approved } else { Outcome::Warned };
                self.note(found(finding, surface, outcome));
                Ok(Action::Pass)
            }
            Verdict::Redact => {
                self.note(found(finding, surface, Outcome::Redacted));
                Ok(Action::Redact)
            }
            Verdict::Block => Err(Refusal::Secret(Box::new(found(finding, surface, Outcome::Blocked)))),
            Verdict::Hold => {
                Box::pin(self.scanner.holds.ask(self, finding, surface)).await?;
                self.note(found(finding, surface, Outcome::Approved));
                Ok(Action::Pass)
            }
        }
    }

    /// Notes what was found and let through.
    pub(crate) fn note(&self, found: Found) {
        let mut notes = self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        note(&mut notes, found);
    }
}

/// A finding as it is told of.
pub(crate) fn found(finding: &Finding, surface: Surface, outcome: Outcome) -> Found {
    Found {
        detector: finding.detector.to_string(),
        surface: surface.name().to_owned(),
        via: finding.via.iter().map(ToString::to_string).collect(),
        outcome,
        is_certain: finding.detector == Detector::Canary,
    }
}
