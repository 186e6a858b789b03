//! An answer's body on its way to the agent: no byte of it passes before it was judged.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};
use scan::coding::CodingError;

use super::judge::Judge;
use crate::body::{Cut, Received};
use crate::coded::Coded;
use crate::refusal::Refusal;
use crate::stall::Stall;

/// Judged bytes that are collected before the head leaves: a body of up to this size is refused as a whole.
const COLLECTED: usize = 64 << 10;
/// How long an origin may pause before what has come passes as far as it may.
const PAUSE: Duration = Duration::from_millis(20);

/// The judgement of one body.
pub(crate) struct Screening {
    judge: Judge,
    coded: Option<Coded>,
    /// Judged, of a body as it stands or as it unpacks.
    clean: Vec<u8>,
    /// All of a body, as it came.
    whole: Option<Bytes>,
    /// Judged and collected.
    ready: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    /// How long the origin may pause; not at all where the agent waits for each event.
    pause: Option<Stall>,
    is_settled: bool,
    ending: Option<Ending>,
    /// Whether the end was told: nothing is left.
    is_over: bool,
    /// Whether what passed before a cut was given a turn to leave.
    is_flushed: bool,
}

/// How a body ends once all that is clean has passed.
enum Ending {
    Over,
    Cut(Cut),
    Refused(Refusal),
}

/// One step of the judgement.
enum Step {
    Bytes(Bytes),
    /// The origin pauses, and all that may pass is about to.
    Pause,
    Over,
    Cut(Cut),
}

impl Screening {
    pub(super) fn new(judge: Judge, coded: Option<Coded>, is_events: bool) -> Self {
        Self {
            judge,
            coded,
            clean: Vec::new(),
            whole: None,
            ready: VecDeque::new(),
            trailers: None,
            pause: (!is_events).then(|| Stall::new(PAUSE)),
            is_settled: false,
            ending: None,
            is_over: false,
            is_flushed: false,
        }
    }

    /// Judges the body as far as it can be collected.
    ///
    /// # Errors
    /// It holds what must not reach the agent, or cannot be judged.
    pub(crate) async fn collect(&mut self, received: &mut Received) -> Result<(), Refusal> {
        let mut length = 0;
        while length < COLLECTED {
            match poll_fn(|cx| self.poll_step(received, cx)).await? {
                Step::Bytes(bytes) => {
                    length += bytes.len();
                    self.ready.push_back(bytes);
                }
                Step::Cut(cut) => {
                    // The agent gets what came before.
                    self.ending = Some(Ending::Cut(cut));
                    self.is_flushed = false;
                    break;
                }
                Step::Pause | Step::Over => break,
            }
        }
        match self.ending.take() {
            // Found in what was collected, though clean bytes before it would have been next.
            Some(Ending::Refused(refusal)) => Err(refusal),
            ending => {
                self.ending = ending;
                Ok(())
            }
        }
    }

    /// What the agent is told of instructions that are none for certain.
    pub(crate) fn mark(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("medium; signals={}", self.judge.medium()?)).ok()
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over && self.ready.is_empty() && self.trailers.is_none()
    }

    /// Exact where all of it is there.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_over && self.trailers.is_none() {
            SizeHint::with_exact(self.ready.iter().map(|bytes| bytes.len() as u64).sum())
        } else {
            SizeHint::default()
        }
    }

    /// The next frame.
    pub(crate) fn poll(
        &mut self,
        received: &mut Received,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let mut step = ready!(self.poll_step(received, cx));
        while let Ok(Step::Pause) = step {
            step = ready!(self.poll_step(received, cx));
        }
        Poll::Ready(match step {
            Ok(Step::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Ok(Step::Pause | Step::Over) => {
                self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))
            }
            Ok(Step::Cut(cut)) => Some(Err(cut)),
            Err(refusal) => {
                received.refuse(&refusal);
                Some(Err(Cut::Refused))
            }
        })
    }

    fn poll_step(&mut self, received: &mut Received, cx: &mut Context<'_>) -> Poll<Result<Step, Refusal>> {
        loop {
            if let Some(bytes) = self.release(received) {
                return Poll::Ready(Ok(Step::Bytes(bytes)));
            }
            if !self.is_flushed && matches!(self.ending, Some(Ending::Cut(_) | Ending::Refused(_))) {
                // hyper writes what it has only when nothing more comes at once, and forgets it when a body fails.
                self.is_flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.ending.take() {
                Some(Ending::Over) => {
                    self.ending = Some(Ending::Over);
                    self.is_over = true;
                    return Poll::Ready(Ok(Step::Over));
                }
                Some(Ending::Cut(cut)) => return Poll::Ready(Ok(Step::Cut(cut))),
                Some(Ending::Refused(refusal)) => return Poll::Ready(Err(refusal)),
                None => {}
            }
            let judged = ready!(self.poll_judge(received, cx));
            for found in self.judge.found.drain(..) {
                received.note(found);
            }
            match judged {
                Ok(true) => return Poll::Ready(Ok(Step::Pause)),
                Ok(false) => {}
                Err(refusal) => self.ending = Some(Ending::Refused(refusal)),
            }
        }
    }

    /// Judges a little more; whether the origin pauses.
    fn poll_judge(&mut self, received: &mut Received, cx: &mut Context<'_>) -> Poll<Result<bool, Refusal>> {
        if let Some(coded) = &mut self.coded
            && coded.is_busy()
        {
            let unpacked = coded.unpack().map_err(|error| unscannable(&error))?;
            return Poll::Ready(self.judge.push(unpacked, &mut self.clean).map(|()| false));
        }
        let Poll::Ready(frame) = received.poll_frame(cx) else {
            if self.is_settled {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.poll(cx));
            }
            self.is_settled = true;
            return Poll::Ready(self.judge.settle(&mut self.clean).map(|()| true));
        };
        self.pause.iter_mut().for_each(Stall::moved);
        self.is_settled = false;
        Poll::Ready(self.take(received, frame).map(|()| false))
    }

    fn take(
        &mut self,
        received: &mut Received,
        frame: Option<Result<Frame<Bytes>, Cut>>,
    ) -> Result<(), Refusal> {
        match frame {
            None => {
                if let Some(coded) = &mut self.coded {
                    coded.finish().map_err(|error| unscannable(&error))?;
                }
                self.judge.end(&mut self.clean)?;
                self.ending = Some(Ending::Over);
            }
            Some(Err(cut)) => {
                self.judge.end(&mut self.clean)?;
                self.ending = Some(Ending::Cut(cut));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match &mut self.coded {
                    None if received.is_over() => {
                        self.whole = self.judge.push_last(data, &mut self.clean)?;
                    }
                    None => self.judge.push(&data, &mut self.clean)?,
                    Some(coded) => coded.take(data),
                },
                Err(frame) => {
                    let Ok(mut trailers) = frame.into_trailers() else { return Ok(()) };
                    for found in self.judge.scrub(&mut trailers)? {
                        received.note(found);
                    }
                    self.trailers = Some(trailers);
                }
            },
        }
        Ok(())
    }

    /// What may pass now.
    fn release(&mut self, received: &Received) -> Option<Bytes> {
        if let Some(whole) = self.whole.take() {
            received.passes(&whole);
            return Some(whole);
        }
        received.passes(&self.clean);
        match &mut self.coded {
            None if self.clean.is_empty() => None,
            None => Some(std::mem::take(&mut self.clean).into()),
            Some(coded) => {
                coded.pass(self.clean.len());
                self.clean.clear();
                coded.release()
            }
        }
    }
}

fn unscannable(error: &CodingError) -> Refusal {
    Refusal::UnscannableAnswer(error.to_string())
}
