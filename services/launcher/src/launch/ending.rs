//! How a run that is to end ends, and what becomes of its request.

use std::time::{Duration, Instant};

use bus::message::run::ExitReason;

use super::live::{Ended, Stop};
use crate::backend::RunEnd;

/// Killed by SIGKILL, as a shell would say it.
const KILLED: i32 = 128 + 9;

/// A run that is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    reason: ExitReason,
    /// Whether whoever asked for the end wants the request run again; nothing as long as nobody has asked.
    asked: Option<bool>,
    pub(super) kill_at: Instant,
    pub(super) killed: bool,
}

impl Ending {
    /// It has reached a limit.
    pub(super) fn limited(reason: ExitReason, grace: Duration) -> Self {
        Self { reason, asked: None, kill_at: Instant::now() + grace, killed: false }
    }

    /// Its sidecar is gone: nothing of it may go on. Whoever had asked for the end still gets what they asked for.
    pub(super) fn without_sidecar(before: Option<Self>) -> Self {
        let (asked, killed) = before.map_or((None, false), |before| (before.asked, before.killed));
        Self { reason: ExitReason::SidecarLost, asked, kill_at: Instant::now(), killed }
    }

    /// Somebody asks. The shortest grace counts; and once somebody wants it over for good, it is.
    pub(super) fn asked(before: Option<Self>, stop: Stop) -> Self {
        let kill_at = Instant::now() + stop.grace;
        let Some(before) = before else {
            return Self { reason: ExitReason::Stopped, asked: Some(stop.hand_back), kill_at, killed: false };
        };
        let asked = Some(before.asked.unwrap_or(true) && stop.hand_back);
        Self { asked, kill_at: before.kill_at.min(kill_at), ..before }
    }

    /// It was killed.
    pub(super) fn killed(self) -> Self {
        Self { killed: true, ..self }
    }

    pub(super) fn is_without_sidecar(self) -> bool {
        self.reason == ExitReason::SidecarLost
    }

    /// A run that had its time, or its disk, is not run again.
    fn hand_back(self) -> bool {
        self.asked == Some(true) && !matches!(self.reason, ExitReason::TimeLimit | ExitReason::DiskLimit)
    }
}

/// What a run came to that ended like this while it was being ended, or by itself.
pub(super) fn ended(end: RunEnd, ending: Option<Ending>) -> Ended {
    let (code, own) = match end {
        RunEnd::Exited(code) => (code, ExitReason::Completed),
        RunEnd::Lost => (KILLED, ExitReason::BoundaryLost),
    };
    let reason = ending.map_or(own, |ending| ending.reason);
    Ended { reason, code, hand_back: ending.is_some_and(Ending::hand_back) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Stop = Stop { grace: Duration::from_secs(600), hand_back: false };
    const SHORT: Stop = Stop { grace: Duration::ZERO, hand_back: false };
    const LAUNCHER: Stop = Stop { grace: Duration::from_secs(10), hand_back: true };

    fn after(stops: &[Stop]) -> Option<Ending> {
        stops.iter().fold(None, |ending, stop| Some(Ending::asked(ending, *stop)))
    }

    #[test]
    fn the_shortest_grace_counts() {
        let soon = Instant::now() + Duration::from_secs(60);
        assert!(after(&[LONG]).unwrap().kill_at > soon);
        for stops in [[LONG, SHORT], [SHORT, LONG]] {
            assert!(after(&stops).unwrap().kill_at < soon, "{stops:?}");
        }
        assert!(
            Ending::asked(Some(Ending::limited(ExitReason::TimeLimit, LONG.grace)), SHORT).kill_at < soon
        );
    }

    #[test]
    fn who_hands_back() {
        let lost = |before| Some(Ending::without_sidecar(before));
        let asked = |before, stop| Some(Ending::asked(before, stop));
        let limited = |reason| Some(Ending::limited(reason, Duration::ZERO));
        use ExitReason::{BoundaryLost, DiskLimit, SidecarLost, Stopped, TimeLimit};
        for (ending, reason, hand_back) in [
            (None, BoundaryLost, false),
            (after(&[LAUNCHER]), Stopped, true),
            (after(&[LONG]), Stopped, false),
            (after(&[LONG, LAUNCHER]), Stopped, false),
            (after(&[LAUNCHER, LONG]), Stopped, false),
            (lost(None), SidecarLost, false),
            (lost(after(&[LAUNCHER])), SidecarLost, true),
            (asked(lost(None), LAUNCHER), SidecarLost, true),
            (asked(lost(after(&[LONG])), LAUNCHER), SidecarLost, false),
            (limited(TimeLimit), TimeLimit, false),
            (asked(limited(TimeLimit), LAUNCHER), TimeLimit, false),
            (asked(limited(DiskLimit), LAUNCHER), DiskLimit, false),
        ] {
            let found = ended(RunEnd::Lost, ending);
            assert_eq!((found.reason, found.hand_back), (reason, hand_back), "{ending:?}");
        }
    }
}
