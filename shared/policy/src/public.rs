//! What the agent may know about its policy (E8).

use crate::route::{EgressPolicy, Tls};

/// Stands for what a header must hold, which the agent should not simply copy.
const NOT_SHOWN: &str = "(not shown)";

/// The policy as the agent may see it, in the schema that the parser accepts: without credentials' names and places
/// (`auth`), files of the host (`tls.ca`), addresses behind names (`connect_to`, `allow_private`) and the values that
/// headers must have.
#[must_use]
pub fn public_view(policy: &EgressPolicy) -> EgressPolicy {
    let mut view = policy.clone();
    for route in &mut view.routes {
        route.auth = None;
        route.connect_to = None;
        route.allow_private.clear();
        let passes = route.tls.as_ref().is_some_and(|tls| tls.passthrough);
        for header in route.matches.iter_mut().flat_map(|entry| &mut entry.headers) {
            NOT_SHOWN.clone_into(&mut header.value);
        }
        route.tls = passes.then_some(Tls { passthrough: true, ca: None });
    }
    view
}
