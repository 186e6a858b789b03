//! The sidecar's own log of decisions (E12): what the operator of a bottle reads while it runs. It is no part of the
//! trail; that is what goes to the bus, whatever is logged here. `docs/logging.md` fixes the names of the fields.

mod line;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::message::egress::{Allowed, Blocked};
use jiff::Timestamp;
use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::contents::Seen;
use crate::scrub::Scrubber;
use line::{Gap, Line, Shown};
pub(crate) use line::{passed, refused};

/// How much is logged of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Decisions,
    Contents,
}

impl From<u8> for Level {
    /// As a policy writes it.
    fn from(level: u8) -> Self {
        match level {
            0 => Self::Off,
            1 => Self::Decisions,
            _ => Self::Contents,
        }
    }
}

/// Lines on their way to the log.
pub(crate) struct Journal {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    text: Vec<u8>,
    /// Lines for which there was no room.
    gap: Option<Gap>,
    /// A write that its reader keeps waiting.
    writing: Option<JoinHandle<()>>,
}

/// Bytes of lines that wait for the log's reader.
const MOST: usize = 2 << 20;
/// How long the trail waits for that reader.
const PATIENCE: Duration = Duration::from_millis(100);

impl Journal {
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Arc::new(Mutex::new(out)), text: Vec::new(), gap: None, writing: None }
    }

    /// Logs an allowed request, of which the secrets were blotted out already.
    pub(crate) fn allowed(&mut self, allowed: &Allowed, seen: Option<&Seen>, scrubber: &Scrubber) {
        if self.has_room(allowed.at) {
            self.push(&Line::allowed(allowed, seen.map(|seen| Shown::of(seen, true, scrubber))));
        }
    }

    /// Logs a refused request, of which the secrets were blotted out already.
    pub(crate) fn blocked(&mut self, blocked: &Blocked, seen: Option<&Seen>, scrubber: &Scrubber) {
        if self.has_room(blocked.at) {
            self.push(&Line::blocked(blocked, seen.map(|seen| Shown::of(seen, false, scrubber))));
        }
    }

    /// Writes what was logged. A reader that does not take it delays no request and no record: lines wait for it, and are
    /// left out when they are too many.
    pub(crate) async fn flush(&mut self) {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        self.writing = None;
        if let Some(gap) = self.gap.take() {
            self.push(&gap);
        }
        if self.text.is_empty() {
            return;
        }
        let (out, text) = (Arc::clone(&self.out), std::mem::take(&mut self.text));
        let mut writing = spawn_blocking(move || {
            // Whoever read the log may be gone, and nothing depends on it.
            let _ = out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        });
        if timeout(PATIENCE, &mut writing).await.is_err() {
            self.writing = Some(writing);
        }
    }

    fn has_room(&mut self, at: Timestamp) -> bool {
        let has_room = self.text.len() < MOST;
        if !has_room {
            self.gap.get_or_insert_with(|| Gap::since(at)).left_out += 1;
        }
        has_room
    }

    fn push(&mut self, line: &impl Serialize) {
        // Strings and numbers always serialise.
        let _ = serde_json::to_writer(&mut self.text, line);
        self.text.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
