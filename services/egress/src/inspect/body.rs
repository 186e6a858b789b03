//! The body of a request: judged as it comes, in constant memory, before any of it leaves.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use scan::coding::CodingError;
use scan::{Next, Shape, Stream};
use tokio::time::timeout;

use super::{Action, Inspection, Surface};
use crate::body::{Cut, Plain, Progress};
use crate::coded::Coded;
use crate::metrics::Stopwatch;
use crate::refusal::Refusal;

/// Judged bytes that are collected before the request goes on its way: a body of up to this size is judged as a whole.
const COLLECTED: usize = 64 << 10;
/// How long a sender may pause before what has come is judged as far as it goes.
const PAUSE: Duration = Duration::from_millis(20);

/// A body of which the beginning was judged, perhaps all of it.
pub(crate) struct Judged {
    ready: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    rest: Rest,
    progress: Arc<Progress>,
}

/// What is still to be judged.
enum Rest {
    Nothing,
    Idle(Box<Judging>),
    Busy(Advance),
}

type Advance = Pin<Box<dyn Future<Output = (Box<Judging>, Result<Step, Refusal>)> + Send>>;

/// A body in the middle of its judgement.
pub(crate) struct Judging {
    source: Plain,
    inspection: Inspection,
    stream: Stream,
    coded: Option<Coded>,
    trailers: Option<HeaderMap>,
    is_settled: bool,
}

/// One step of a judgement.
enum Step {
    Bytes(Bytes),
    /// The sender pauses, and all that may leave has left.
    Pause,
    End,
}

impl Judging {
    /// The judgement of a body that has these headers.
    ///
    /// # Errors
    /// Its coding cannot be undone, and the route has bodies scanned.
    pub(crate) fn new(source: Plain, inspection: Inspection, headers: &HeaderMap) -> Result<Self, Refusal> {
        let detectors = Arc::clone(&inspection.scanner.detectors);
        let stream = Stream::new(detectors, inspection.scanning.enabled, shape(headers));
        let coded = match Coded::new(headers, inspection.scanner.decoded_bytes) {
            Err(error) if inspection.scanning.is_on() => return Err(unscannable(&error)),
            coded => coded.unwrap_or_default(),
        };
        Ok(Self { source, inspection, stream, coded, trailers: None, is_settled: false })
    }

    /// Judges the body as far as it can be collected.
    ///
    /// # Errors
    /// It holds what may not leave, or cannot be judged.
    pub(crate) async fn collect(self) -> Result<Judged, Refusal> {
        let progress = self.source.progress();
        let mut judging = Box::new(self);
        let mut ready = VecDeque::new();
        let mut length = 0;
        while length < COLLECTED {
            match judging.step().await? {
                Step::Bytes(bytes) => {
                    length += bytes.len();
                    ready.push_back(bytes);
                }
                Step::Pause => break,
                Step::End => {
                    let trailers = judging.trailers.take();
                    return Ok(Judged { ready, trailers, rest: Rest::Nothing, progress });
                }
            }
        }
        Ok(Judged { ready, trailers: None, rest: Rest::Idle(judging), progress })
    }

    async fn step(&mut self) -> Result<Step, Refusal> {
        loop {
            if let Some(bytes) = self.coded.as_mut().and_then(Coded::release) {
                return Ok(Step::Bytes(bytes));
            }
            let time = self.stopwatch();
            let next = self.stream.poll().map_err(|error| Refusal::Unscannable(error.to_string()))?;
            drop(time);
            if let Next::Bytes(bytes) = &next {
                self.source.passes(bytes);
            }
            match next {
                Next::Bytes(bytes) => match &mut self.coded {
                    None => return Ok(Step::Bytes(bytes)),
                    Some(coded) => coded.pass(bytes.len()),
                },
                Next::Finding(finding) => match self.inspection.judge(&finding, Surface::Body).await? {
                    Action::Pass => self.stream.pass(),
                    Action::Redact if self.coded.is_some() => {
                        return Err(Refusal::Unscannable(
                            "a secret in a compressed body cannot be blotted out".to_owned(),
                        ));
                    }
                    Action::Redact => {
                        self.stream.redact().map_err(|error| Refusal::Unscannable(error.to_string()))?;
                    }
                },
                Next::End => return Ok(Step::End),
                Next::More => {
                    if let Some(step) = self.feed().await? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Gives the stream more: of what is being unpacked, or of what arrives.
    async fn feed(&mut self) -> Result<Option<Step>, Refusal> {
        if let Some(coded) = &mut self.coded
            && coded.is_busy()
        {
            let unpacked = coded.unpack().map_err(|error| unscannable(&error))?;
            self.stream.push(unpacked);
            return Ok(None);
        }
        // By its content length a body may be over before its sender says so.
        if self.source.is_end_stream() {
            self.end()?;
            return Ok(None);
        }
        let frame = if self.is_settled {
            self.source.frame().await
        } else if let Ok(frame) = timeout(PAUSE, self.source.frame()).await {
            frame
        } else {
            self.is_settled = true;
            self.stream.settle().map_err(|error| Refusal::Unscannable(error.to_string()))?;
            return Ok(Some(Step::Pause));
        };
        self.is_settled = false;
        match frame {
            None => self.end()?,
            Some(Err(cut)) => return Err(self.source.refusal(cut)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match &mut self.coded {
                    None if self.source.is_end_stream() => return self.feed_last(data),
                    None => self.stream.push(&data),
                    Some(coded) => coded.take(data),
                },
                Err(frame) => self.take_trailers(frame).await?,
            },
        }
        Ok(None)
    }

    fn feed_last(&mut self, data: Bytes) -> Result<Option<Step>, Refusal> {
        let _time = self.stopwatch();
        let whole = self.stream.push_last(data);
        let whole = whole.map_err(|error| Refusal::Unscannable(error.to_string()))?;
        if let Some(whole) = &whole {
            self.source.passes(whole);
        }
        Ok(whole.map(Step::Bytes))
    }

    fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(self.inspection.scanner.times.as_ref().map(|times| &times.body))
    }

    fn end(&mut self) -> Result<(), Refusal> {
        if let Some(coded) = &mut self.coded {
            coded.finish().map_err(|error| unscannable(&error))?;
        }
        self.stream.end();
        Ok(())
    }

    /// Judges trailers. One in which something was found that must not leave does not.
    async fn take_trailers(&mut self, frame: Frame<Bytes>) -> Result<(), Refusal> {
        let Ok(mut trailers) = frame.into_trailers() else { return Ok(()) };
        let mut text = Vec::new();
        for (name, value) in &trailers {
            text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        let Inspection { scanner, scanning, .. } = &self.inspection;
        let findings = scanner.detectors.scan(&text, scanning.enabled, &Shape::Plain);
        let findings = findings.map_err(|error| Refusal::Unscannable(error.to_string()))?;
        for finding in findings {
            if self.inspection.judge(&finding, Surface::Trailer).await? == Action::Redact {
                trailers.clear();
            }
        }
        self.trailers = Some(trailers);
        Ok(())
    }
}

impl Judged {
    /// What it has done so far, also when somebody else owns it.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.ready.is_empty() && self.trailers.is_none() && matches!(self.rest, Rest::Nothing)
    }

    /// Exact where all of it is there.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let ready = self.ready.iter().map(|bytes| bytes.len() as u64).sum();
        match self.rest {
            Rest::Nothing => SizeHint::with_exact(ready),
            Rest::Idle(_) | Rest::Busy(_) => SizeHint::default(),
        }
    }

    /// The next frame.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        loop {
            self.rest = match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::Nothing => {
                    return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Rest::Idle(mut judging) => Rest::Busy(Box::pin(async move {
                    let step = judging.step().await;
                    (judging, step)
                })),
                Rest::Busy(mut advance) => {
                    let Poll::Ready((mut judging, step)) = advance.as_mut().poll(cx) else {
                        self.rest = Rest::Busy(advance);
                        return Poll::Pending;
                    };
                    match step {
                        Ok(Step::Bytes(bytes)) => {
                            self.rest = Rest::Idle(judging);
                            return Poll::Ready(Some(Ok(Frame::data(bytes))));
                        }
                        Ok(Step::Pause) => Rest::Idle(judging),
                        Ok(Step::End) => {
                            self.trailers = judging.trailers.take();
                            Rest::Nothing
                        }
                        Err(refusal) => {
                            self.progress.refuse(refusal);
                            return Poll::Ready(Some(Err(Cut::Refused)));
                        }
                    }
                }
            };
        }
    }
}

fn unscannable(error: &CodingError) -> Refusal {
    Refusal::Unscannable(error.to_string())
}

/// How a body is divided, by its content type.
fn shape(headers: &HeaderMap) -> Shape {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("application/x-www-form-urlencoded") {
        return Shape::Form;
    }
    let boundary = lower.find("boundary=").filter(|_| lower.starts_with("multipart/"));
    let boundary = boundary.map(|at| kind[at + "boundary=".len()..].split(';').next().unwrap_or_default());
    match boundary.map(|text| text.trim().trim_matches('"')) {
        Some(boundary) if !boundary.is_empty() => Shape::Multipart(boundary.as_bytes().to_vec()),
        _ => Shape::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_says_how_a_body_is_divided() {
        let shape_of = |kind: &str| shape(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]));
        assert_eq!(shape_of("application/json"), Shape::Plain);
        assert_eq!(shape_of("Application/X-WWW-Form-Urlencoded; charset=utf-8"), Shape::Form);
        for kind in ["multipart/form-data; boundary=xY", "Multipart/Mixed; charset=a; Boundary=\"xY\"; b=c"] {
            assert_eq!(shape_of(kind), Shape::Multipart(b"xY".to_vec()), "{kind}");
        }
        assert_eq!(shape_of("multipart/form-data"), Shape::Plain);
    }
}
