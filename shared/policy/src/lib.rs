//! Routes and their matching; deltas between revisions. Pure: no I/O, no clock.
//!
//! What a person or the bus gives ([`EgressPolicy`]) is checked once, by [`check()`], into a [`CheckedPolicy`];
//! everything that decides takes only the latter. [`decide()`] judges one request, [`explain()`] says the same as
//! data, [`add_route`], [`remove_route`] and [`grant()`] make the next revision.

pub mod check;
pub mod checked;
pub mod decide;
pub mod delta;
pub mod difference;
pub mod explain;
mod git;
pub mod grant;
pub mod hash;
pub mod header;
pub mod host;
pub mod limit;
pub mod path;
pub mod problem;
pub mod public;
pub mod refusal;
pub mod route;
pub mod token;

pub use check::{HostPort, InvalidHostPort, check};
pub use checked::{CheckedAuth, CheckedPolicy, CheckedRoute};
pub use decide::{AllowedHost, Decision, RequestView, admit, admit_tunnel, decide};
pub use delta::{DeltaError, add_route, remove_route};
pub use difference::difference;
pub use explain::{Explanation, explain};
pub use grant::{Added, EgressDelta, Granted, check_delta, grant, put_route, revoke};
pub use hash::content_hash;
pub use header::reads_alike;
pub use host::{Host, HostPattern, InvalidHost};
pub use path::{AmbiguousPath, NormalPath};
pub use problem::{KeyPath, Problem, Problems};
pub use public::public_view;
pub use refusal::Refusal;
pub use route::{
    Auth, AuthScheme, Detectors, Dlp, EgressPolicy, Git, HeaderKind, HeaderMatch, Match, OnMatch, PathKind,
    PathMatch, Route, Scheme, Tls,
};
pub use token::{InvalidTokenRef, TokenRef};
