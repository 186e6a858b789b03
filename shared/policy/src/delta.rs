//! Small changes from one policy to the next.

use crate::check::{check, nearest};
use crate::host::HostPattern;
use crate::problem::Problems;
use crate::route::{EgressPolicy, Route};

/// Why a change makes no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// The host has a route already.
    #[error("{host} has a route already; remove it first, or replace the whole policy")]
    Exists {
        /// The route's host.
        host: String,
    },
    /// The host has no route.
    #[error("{host} has no route{}", .nearest.as_ref().map_or_else(String::new, |near| format!("; did you mean {near}?")))]
    Absent {
        /// The host that was named, inert.
        host: String,
        /// The host of a route that is written much like it.
        nearest: Option<String>,
    },
    /// The policy that would result has problems.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// The policy with one more route.
///
/// # Errors
/// When the route's host has one already, or the result is not valid.
pub fn add_route(policy: &EgressPolicy, route: Route) -> Result<EgressPolicy, DeltaError> {
    if let Ok(host) = HostPattern::parse(&route.host)
        && policy.routes.iter().any(|other| HostPattern::parse(&other.host).as_ref() == Ok(&host))
    {
        return Err(DeltaError::Exists { host: host.to_string() });
    }
    let mut next = policy.clone();
    next.routes.push(route);
    check(&next)?;
    Ok(next)
}

/// The policy without the routes of this host, for every scheme and port. `host` is compared in its normal form.
///
/// # Errors
/// When the host has no route.
pub fn remove_route(policy: &EgressPolicy, host: &str) -> Result<EgressPolicy, DeltaError> {
    let wanted = HostPattern::parse(host).ok();
    let is_it = |route: &Route| {
        route.host == host
            || wanted.as_ref().is_some_and(|host| HostPattern::parse(&route.host).as_ref() == Ok(host))
    };
    let mut next = policy.clone();
    next.routes.retain(|route| !is_it(route));
    if next.routes.len() == policy.routes.len() {
        let near = nearest(host, policy.routes.iter().map(|route| route.host.as_str()));
        return Err(DeltaError::Absent { host: base::inert(host, 80), nearest: near.map(str::to_owned) });
    }
    Ok(next)
}
