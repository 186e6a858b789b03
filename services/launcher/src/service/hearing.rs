//! Hearing what others ask a launcher for, one request after the other.

use bus::message::Request;
use bus::{Delivery, Subscription};

use super::Shared;

/// The next request; none at the stop, or when they can no longer be heard, which is told.
pub(super) async fn next<R: Request>(
    shared: &Shared,
    requests: &mut Subscription<R>,
    what: &str,
) -> Option<Delivery<R>> {
    let heard = tokio::select! {
        heard = requests.next() => heard,
        () = shared.life.stopping() => return None,
    };
    match heard {
        Ok(delivery) => Some(delivery),
        Err(error) => {
            tracing::error!(error = base::error::chain(&error), "{what} can no longer be heard");
            None
        }
    }
}

/// Answers one. Who is not answered asks again.
pub(super) async fn answer<R: Request>(delivery: &Delivery<R>, reply: &R::Reply) {
    if let Err(error) = delivery.answer(reply).await {
        tracing::warn!(
            subject = delivery.subject,
            error = base::error::chain(&error),
            "a request was not answered"
        );
    }
}
