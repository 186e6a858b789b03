//! What was refused, each kind of request once.

use std::collections::BTreeMap;

use bus::message::egress::Blocked;
use serde::Serialize;

/// Kinds of requests that are told apart. An agent can invent any number of them.
const MOST: usize = 20_000;

/// Refused requests with how often each came.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    requests: BTreeMap<Request, u64>,
    passed_over: u64,
}

/// What a request was, and why it was refused. Texts are untrusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) scheme: String,
    pub(super) path: String,
    pub(super) method: String,
    pub(super) rule: String,
    pub(super) reason: String,
}

/// Requests that get no route. Texts are inert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// How many there were.
    pub requests: u64,
    /// The rule that refused them.
    pub rule: String,
    /// The method.
    pub method: String,
    /// Scheme, host, port where it is known, and path.
    pub url: String,
    /// Why no route is proposed.
    pub reason: String,
}

impl Observed {
    /// Adds a refusal.
    pub fn add(&mut self, blocked: Blocked) {
        let Blocked { host, port, scheme, path, method, rule, reason, .. } = blocked;
        let request = Request { host, port, scheme, path, method, rule, reason };
        if self.requests.len() < MOST || self.requests.contains_key(&request) {
            *self.requests.entry(request).or_default() += 1;
        } else {
            self.passed_over += 1;
        }
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Refusals that were not looked at because there were too many different ones.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Request, u64)> {
        self.requests.iter().map(|(request, count)| (request, *count))
    }
}

impl FromIterator<Blocked> for Observed {
    fn from_iter<I: IntoIterator<Item = Blocked>>(refusals: I) -> Self {
        let mut observed = Self::default();
        refusals.into_iter().for_each(|blocked| observed.add(blocked));
        observed
    }
}

impl Request {
    pub(super) fn apart(&self, requests: u64, reason: impl AsRef<str>) -> Apart {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        let url = format!("{}://{}{port}{}", self.scheme, self.host, self.path);
        Apart {
            requests,
            rule: base::inert(&self.rule, 40),
            method: base::inert(&self.method, 40),
            url: base::inert(&url, 300),
            reason: base::inert(reason.as_ref(), 500),
        }
    }
}
