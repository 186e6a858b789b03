//! What launchers tell about runs for pull requests.

use std::sync::Arc;
use std::time::Duration;

use bus::Follow;
use bus::message::event::Event;
use bus::message::pr::PrEnd;
use bus::message::run::{ExitReason, Exited, Failed, FailureKind};

use crate::comment::in_code;
use crate::machine::{Ended, Input};
use crate::registry::{self, Untaken};
use crate::shared::{Shared, lock};
use crate::text::bounded;

/// Bytes of an answer that are kept.
const RESULT: usize = 16 << 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Brings each to its conversation, in order, until the lifecycle stops.
pub(crate) async fn serve(shared: Arc<Shared>, mut events: Follow<Event>) {
    loop {
        let record = tokio::select! {
            record = events.next() => record,
            () = shared.life.stopping() => return,
        };
        match record {
            Ok(record) => {
                if let Ok(event) = record.message {
                    heard(&shared, &event).await;
                }
            }
            Err(error) => {
                tracing::error!(error = base::error::chain(&error), "what runs do cannot be followed");
                return;
            }
        }
    }
}

async fn heard(shared: &Arc<Shared>, event: &Event) {
    let (request, input) = match event {
        Event::Started(started) => {
            (&started.request, Input::Started { request: &started.request, bottle: &started.bottle })
        }
        Event::Exited(exited) => {
            (&exited.request, Input::Ended { request: &exited.request, ended: of_exit(exited) })
        }
        Event::Failed(failed) => {
            (&failed.request, Input::Ended { request: &failed.request, ended: of_failure(failed) })
        }
        _ => return,
    };
    let Some(key) = lock(&shared.runs).of_request(request) else { return };
    // It is told once, so it is brought until it is there.
    loop {
        match registry::bring(shared, &key, input.clone(), None).await {
            Ok(_) | Err(Untaken::Full) => return,
            Err(Untaken::Bus(error)) => {
                tracing::warn!(key, error = base::error::chain(&error), "a run's news is not stored yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            // The next dispatcher reads it again.
            () = shared.life.stopping() => return,
        }
    }
}

/// As it will be shown, so that what is stored of it is no larger.
fn kept(text: &str, most: usize) -> String {
    bounded(&in_code(&bounded(text, most)), most)
}

fn of_exit(exited: &Exited) -> Ended {
    let is_success = exited.reason == ExitReason::Completed && exited.code == 0 && exited.failure.is_none();
    let mut failure = exited.failure.as_ref().map(|failure| failure.words.clone());
    if failure.is_none() && exited.reason == ExitReason::Completed && exited.code != 0 {
        failure = Some(format!("its program ended with exit code {}", exited.code));
    }
    let session = exited.session.clone().filter(|_| exited.transcript.is_some());
    Ended {
        bottle: Some(exited.bottle.clone()),
        session,
        cannot_resume: false,
        end: PrEnd {
            reason: Some(exited.reason),
            is_success,
            result: exited.result.as_deref().map(|result| kept(result, RESULT)),
            failure: failure.map(|failure| kept(&failure, 4 << 10)),
            at: exited.at,
        },
    }
}

fn of_failure(failed: &Failed) -> Ended {
    Ended {
        bottle: None,
        session: None,
        cannot_resume: failed.kind == FailureKind::Session,
        end: PrEnd {
            reason: None,
            is_success: false,
            result: None,
            failure: Some(kept(&failed.reason, 4 << 10)),
            at: failed.at,
        },
    }
}
