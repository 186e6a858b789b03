//! What the agent says: judged as a request's body is, before any of it leaves (E9, E11).

use std::ops::Range;
use std::sync::Arc;

use scan::{Detector, Finding, LOOK_AHEAD, Next, Shape, Stream, blot};

use super::frame::Kind;
use super::judge::Judge;
use crate::inspect::{Action, Inspection, Surface};
use crate::refusal::Refusal;

/// Bytes of earlier messages that are looked at together with each message: a value may come in pieces.
const TAIL: usize = 4 << 10;

/// See the module.
pub(super) struct Leaving {
    inspection: Inspection,
    /// The last bytes that left.
    tail: Vec<u8>,
    /// How many left in all.
    left: u64,
    /// Where among all of them values stand that were allowed, as far as the tail reaches.
    allowed: Vec<Range<u64>>,
    /// The judgement of a large message, and where it began.
    stream: Option<(Stream, u64)>,
}

impl Leaving {
    pub(super) fn new(inspection: Inspection) -> Self {
        Self { inspection, tail: Vec::new(), left: 0, allowed: Vec::new(), stream: None }
    }

    fn findings(&self, text: &[u8]) -> Result<Vec<Finding>, Refusal> {
        let Inspection { scanner, scanning, .. } = &self.inspection;
        let findings = scanner.detectors.scan(text, scanning.enabled, &Shape::Plain);
        findings.map_err(|error| Refusal::Unscannable(error.to_string()))
    }

    /// Judges what began in an earlier message and goes on in this one. It cannot be blotted out: its beginning has
    /// left. A value that was allowed by itself makes no other value with the words next to it.
    async fn judge_seam(&self, message: &[u8]) -> Result<(), Refusal> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let from = self.left - self.tail.len() as u64;
        let text = [&self.tail, &message[..message.len().min(LOOK_AHEAD)]].concat();
        for finding in self.findings(&text)? {
            let span = placed(&finding.span, from);
            let is_allowed =
                self.allowed.iter().any(|allowed| allowed.start == span.start || allowed.end == span.end);
            if span.start < self.left
                && span.end > self.left
                && !is_allowed
                && self.inspection.judge(&finding, Surface::Message).await? == Action::Redact
            {
                return Err(cannot_redact("began in an earlier message and "));
            }
        }
        Ok(())
    }

    /// A person or the route has let this value of the message go that began at `from`.
    fn allow(&mut self, finding: &Finding, from: u64) {
        if finding.detector != Detector::Entropy {
            self.allowed.push(placed(&finding.span, from));
        }
    }

    fn remember(&mut self, left: &[u8]) {
        let kept = TAIL.saturating_sub(left.len()).min(self.tail.len());
        self.tail.drain(..self.tail.len() - kept);
        self.tail.extend_from_slice(&left[left.len().saturating_sub(TAIL)..]);
        self.left += left.len() as u64;
        let from = self.left - self.tail.len() as u64;
        self.allowed.retain(|allowed| allowed.end > from);
    }
}

impl Judge for Leaving {
    fn looks_at(&self, _: Kind) -> bool {
        let Inspection { scanner, scanning, .. } = &self.inspection;
        scanner.looks_for_anything(*scanning)
    }

    async fn judge(&mut self, _: Kind, message: &mut [u8]) -> Result<(), Refusal> {
        let mut is_changed = false;
        for finding in self.findings(message)? {
            match self.inspection.judge(&finding, Surface::Message).await? {
                Action::Redact => {
                    blot(&mut message[finding.span.start as usize..finding.span.end as usize]);
                    is_changed = true;
                }
                Action::Pass => self.allow(&finding, self.left),
            }
        }
        if is_changed {
            for finding in self.findings(message)? {
                if self.inspection.judge(&finding, Surface::Message).await? == Action::Redact {
                    return Err(cannot_redact(""));
                }
            }
        }
        self.judge_seam(message).await?;
        self.remember(message);
        Ok(())
    }

    async fn begin(&mut self, _: Kind, first: &[u8]) -> Result<(), Refusal> {
        self.judge_seam(first).await?;
        let Inspection { scanner, scanning, .. } = &self.inspection;
        let stream = Stream::new(Arc::clone(&scanner.detectors), scanning.enabled, Shape::Plain);
        self.stream.insert((stream, self.left)).0.push(first);
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some((stream, _)) = &mut self.stream {
            stream.push(bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        if let Some((stream, _)) = &mut self.stream {
            stream.end();
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let unscannable = |error: scan::StreamError| Refusal::Unscannable(error.to_string());
        while let Some((stream, from)) = &mut self.stream {
            match stream.poll().map_err(unscannable)? {
                Next::Bytes(bytes) => {
                    self.remember(&bytes);
                    return Ok(Some(bytes.into()));
                }
                Next::Finding(finding) => match self.inspection.judge(&finding, Surface::Message).await? {
                    Action::Pass => {
                        stream.pass();
                        let from = *from;
                        self.allow(&finding, from);
                    }
                    Action::Redact => stream.redact().map_err(unscannable)?,
                },
                Next::More => break,
                Next::End => self.stream = None,
            }
        }
        Ok(None)
    }
}

fn cannot_redact(how: &str) -> Refusal {
    Refusal::Unscannable(format!("a secret in a WebSocket message {how}cannot be blotted out"))
}

/// Where a span lies that is counted from `from`.
fn placed(span: &Range<u64>, from: u64) -> Range<u64> {
    from + span.start..from + span.end
}
