//! What of an answer's body may pass, decided over its bytes as they come: first the bottle's secrets are blotted out,
//! then what is left is read for instructions.

use std::sync::Arc;

use bus::message::egress::{Found, Outcome};
use bytes::Bytes;
use http::HeaderMap;
use scan::injection::{self, Assessment, Confidence, Signal, assess};
use scan::sse::{EVENT_BOUND, Event, Splitter};
use scan::{Next, Shape, Stream};

use super::head::{self, Reading};
use super::{Secrets, echoed};
use crate::metrics::{Stopwatch, Times};
use crate::refusal::Refusal;

/// The judgement of one body. An error of any of its steps is final: nothing more may pass.
pub(crate) struct Judge {
    scrub: Option<Scrub>,
    reader: Reader,
    /// What was found and has not been told yet.
    pub(crate) found: Vec<Found>,
    times: Option<Times>,
}

/// Blots secrets out.
struct Scrub {
    secrets: Arc<Secrets>,
    stream: Stream,
    /// Events leave at the end of their line; this is the beginning of one that has not come whole.
    line: Option<Vec<u8>>,
    /// Whether bytes can be changed: not those of a compressed body.
    can_blot: bool,
}

/// Reads for instructions.
struct Reader {
    mode: Mode,
    /// The signals of what is not sure enough to be refused.
    medium: Option<String>,
}

enum Mode {
    Skip,
    Text(injection::Stream),
    Events(Splitter),
}

impl Judge {
    pub(super) fn new(
        secrets: Option<Arc<Secrets>>,
        reading: Reading,
        is_events: bool,
        is_coded: bool,
    ) -> Self {
        let scrub = secrets.map(|secrets| Scrub {
            stream: Stream::new(Arc::clone(&secrets.0), Secrets::ENABLED, Shape::Plain),
            secrets,
            line: is_events.then(Vec::new),
            can_blot: !is_coded,
        });
        let mode = match reading {
            Reading::Skip => Mode::Skip,
            Reading::Text => Mode::Text(injection::Stream::new()),
            Reading::Events => Mode::Events(Splitter::default()),
        };
        Self { scrub, reader: Reader { mode, medium: None }, found: Vec::new(), times: None }
    }

    /// The same, with its time counted.
    pub(super) fn timed(self, times: Option<Times>) -> Self {
        Self { times, ..self }
    }

    /// The signals of what was found and is not sure enough to be refused.
    pub(super) fn medium(&self) -> Option<&str> {
        self.reader.medium.as_deref()
    }

    /// Blots secrets out of trailers; what was found.
    pub(super) fn scrub(&self, trailers: &mut HeaderMap) -> Result<Vec<Found>, Refusal> {
        self.scrub.as_ref().map_or_else(|| Ok(Vec::new()), |scrub| head::scrub(trailers, &scrub.secrets))
    }

    /// Judges the next bytes and appends to `out` what may pass.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let _time = Stopwatch::start(self.times.as_ref());
        match &mut self.scrub {
            None => self.read(bytes, out),
            Some(scrub) => {
                scrub.push(bytes)?;
                self.pull(out)
            }
        }
    }

    /// Judges the last bytes. A short body that came whole and is clean is given back as it is; of any other, what may
    /// pass is appended to `out`.
    pub(super) fn push_last(&mut self, bytes: Bytes, out: &mut Vec<u8>) -> Result<Option<Bytes>, Refusal> {
        let time = Stopwatch::start(self.times.as_ref());
        let is_plain = match &self.reader.mode {
            Mode::Skip => true,
            Mode::Text(stream) => stream.is_fresh() && assess(&bytes).confidence == Confidence::None,
            Mode::Events(_) => false,
        };
        match &mut self.scrub {
            None if is_plain => Ok(Some(bytes)),
            Some(scrub) if is_plain && scrub.line.is_none() => {
                let whole = scrub.stream.push_last(bytes).map_err(unscannable)?;
                if whole.is_none() {
                    self.pull(out)?;
                }
                Ok(whole)
            }
            _ => {
                drop(time);
                self.push(&bytes, out).map(|()| None)
            }
        }
    }

    /// The origin pauses: whatever of a text may pass, passes. Events wait for their blank line.
    pub(super) fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let _time = Stopwatch::start(self.times.as_ref());
        if let Some(scrub) = &mut self.scrub {
            scrub.settle()?;
        }
        self.pull(out)?;
        if let Mode::Text(stream) = &mut self.reader.mode {
            stream.release(out);
        }
        Ok(())
    }

    /// The body is over.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let _time = Stopwatch::start(self.times.as_ref());
        if let Some(scrub) = &mut self.scrub {
            scrub.end();
        }
        self.pull(out)?;
        let Self { reader, scrub, found, .. } = self;
        match &mut reader.mode {
            Mode::Skip => {}
            Mode::Text(stream) => stream.release(out),
            Mode::Events(splitter) => {
                if let Some(event) = splitter.finish() {
                    let found_in = judge_event(&event, scrub.as_ref())?;
                    weigh(&found_in, &mut reader.medium, found)?;
                    out.extend_from_slice(event.raw);
                }
            }
        }
        Ok(())
    }

    /// Reads what the search for secrets lets pass.
    fn pull(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        loop {
            let Some(scrub) = &mut self.scrub else { return Ok(()) };
            match scrub.poll(&mut self.found)? {
                Some(bytes) => self.read(&bytes, out)?,
                None => return Ok(()),
            }
        }
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Self { reader, scrub, found, .. } = self;
        match &mut reader.mode {
            Mode::Skip => out.extend_from_slice(bytes),
            Mode::Text(stream) => {
                let found_in = stream.push(bytes, out);
                weigh(found_in, &mut reader.medium, found)?;
            }
            Mode::Events(splitter) => {
                splitter.push(bytes);
                while let Some(event) = splitter.event() {
                    let found_in = judge_event(&event, scrub.as_ref())?;
                    weigh(&found_in, &mut reader.medium, found)?;
                    out.extend_from_slice(event.raw);
                }
            }
        }
        Ok(())
    }
}

impl Scrub {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(line) = &mut self.line else {
            self.stream.push(bytes);
            return Ok(());
        };
        let whole = bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |end| end + 1);
        if whole > 0 {
            self.stream.push(line);
            self.stream.push(&bytes[..whole]);
            line.clear();
            self.stream.settle().map_err(unscannable)?;
        }
        line.extend_from_slice(&bytes[whole..]);
        if line.len() > EVENT_BOUND {
            self.stream.push(line);
            line.clear();
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Refusal> {
        if self.line.is_none() { self.stream.settle().map_err(unscannable) } else { Ok(()) }
    }

    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            self.stream.push(&line);
        }
        self.stream.end();
    }

    /// The next bytes that hold no secret any more.
    fn poll(&mut self, found: &mut Vec<Found>) -> Result<Option<Bytes>, Refusal> {
        loop {
            let finding = match self.stream.poll().map_err(unscannable)? {
                Next::Bytes(bytes) => return Ok(Some(bytes)),
                Next::More | Next::End => return Ok(None),
                Next::Finding(finding) => finding,
            };
            if !self.can_blot || self.stream.redact().is_err() {
                return Err(Refusal::Echo(Box::new(echoed(&finding, Outcome::Blocked))));
            }
            found.push(echoed(&finding, Outcome::Redacted));
        }
    }
}

/// Reads an event by itself and with those before it. What many events spell out together cannot be blotted out.
fn judge_event(event: &Event<'_>, scrub: Option<&Scrub>) -> Result<Assessment, Refusal> {
    if let Some(scrub) = scrub {
        let spelt = scrub.secrets.scan(event.running);
        let spelt = spelt.map_err(|error| Refusal::UnscannableAnswer(error.to_string()))?;
        if let Some(finding) = spelt.first() {
            return Err(Refusal::Echo(Box::new(echoed(finding, Outcome::Blocked))));
        }
    }
    Ok(assess(event.text).or(assess(event.running)))
}

/// What becomes of an assessment: nothing, a mark, or the end.
fn weigh(
    assessment: &Assessment,
    medium: &mut Option<String>,
    found: &mut Vec<Found>,
) -> Result<(), Refusal> {
    match assessment.confidence {
        Confidence::None => Ok(()),
        Confidence::Medium if medium.is_some() => Ok(()),
        Confidence::Medium => {
            *medium = Some(listed(&assessment.signals));
            found.push(instructions(Outcome::Warned));
            Ok(())
        }
        Confidence::High => Err(Refusal::Injection {
            found: Box::new(instructions(Outcome::Blocked)),
            signals: listed(&assessment.signals),
        }),
    }
}

fn listed(signals: &[Signal]) -> String {
    signals.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn instructions(outcome: Outcome) -> Found {
    Found {
        detector: "naive_injection_detection".to_owned(),
        surface: super::Surface::Answer.name().to_owned(),
        via: Vec::new(),
        outcome,
        is_certain: false,
    }
}

fn unscannable(error: scan::StreamError) -> Refusal {
    Refusal::UnscannableAnswer(error.to_string())
}
