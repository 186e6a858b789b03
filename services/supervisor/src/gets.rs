//! `policy.get`: what a sidecar should run.

use base::error::chain;
use bus::message::revision::{PolicyGet, PolicyGetReply};
use bus::{Bus, BusError, Delivery, Subscription};

use crate::store::Store;

/// Answers until the connection is closed.
pub(crate) async fn serve(bus: Bus, mut asked: Subscription<PolicyGet>) {
    loop {
        let answered = match asked.next().await {
            Ok(request) => answer(&bus, &request).await,
            Err(error) => {
                tracing::error!(error = chain(&error), "policy.get is not answered any more");
                return;
            }
        };
        if let Err(error) = answered {
            tracing::warn!(error = chain(&error), "a sidecar's question was not answered");
        }
    }
}

/// No answer is given to what cannot be read or looked up: the sidecar keeps what it has, and asks again.
async fn answer(bus: &Bus, request: &Delivery<PolicyGet>) -> Result<(), BusError> {
    let get = match &request.message {
        Ok(get) => get,
        Err(malformed) => {
            let (doing, malformed) = ("reading a request".to_owned(), malformed.clone());
            return Err(BusError::Malformed { doing, malformed });
        }
    };
    let store = Store::new(&bus.with_trace(request.trace));
    let reply = match store.current(&get.bottle).await? {
        Some(policy) => PolicyGetReply::Found { policy },
        None => PolicyGetReply::Unknown,
    };
    request.answer(&reply).await
}
