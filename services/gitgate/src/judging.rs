//! What decides about a push, as the part that serves sees it.

use bus::message::push::Finding;
use futures::future::BoxFuture;

use crate::progress::Progress;
use crate::push::Push;

/// Decides about pushes.
pub trait Judging: Send + Sync + 'static {
    /// A push to this repository may come soon: what takes time to start may start now. Returns at once.
    fn expect(&self, repo: &str);

    /// Whether a text that came with a push may stand in a record, since no secret is in it.
    fn is_harmless(&self, text: &str) -> bool;

    /// Lets a push through, all of it, or none of it. Bounded in time by itself. When the future is dropped, whatever
    /// it had started ends.
    fn judge<'a>(&'a self, push: &'a Push, progress: &'a Progress) -> BoxFuture<'a, Result<Passed, Refused>>;
}

/// Every ref and every object of a push may go upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many objects were new.
    pub objects: u64,
}

/// A push that may not go upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, in lines for a person; inert, and without any secret.
    pub reason: String,
    /// What the scan found.
    pub findings: Vec<Finding>,
    /// How many objects were new, if they could be counted.
    pub objects: Option<u64>,
}
