//! Routes and their matching; deltas between revisions. Pure: no I/O, no clock.

pub mod route;

pub use route::{Auth, AuthScheme, Dlp, EgressPolicy, Git, HeaderMatch, Match, PathMatch, Route, Scheme, Tls};
