//! What the agent may know about its policy (E8).

use crate::route::{EgressPolicy, Tls};

/// The policy as the agent may see it, in the schema that the parser accepts: without credentials' names and places
/// (`auth`), files of the host (`tls.ca`) and addresses behind names (`connect_to`, `allow_private`).
#[must_use]
pub fn public_view(policy: &EgressPolicy) -> EgressPolicy {
    let mut view = policy.clone();
    for route in &mut view.routes {
        route.auth = None;
        route.connect_to = None;
        route.allow_private.clear();
        let passes = route.tls.as_ref().is_some_and(|tls| tls.passthrough);
        route.tls = passes.then_some(Tls { passthrough: true, ca: None });
    }
    view
}
