//! What an agent may ask for, and what becomes of a policy when it is granted (S2, invariant 6).
//!
//! A delta has, by its type, no credential, no detector setting, no address and no TLS setting: those come from the
//! route that it widens, or are the defaults of a new one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::route::{Match, PathMatch, Route, Scheme};

/// Requests to one host that somebody wants allowed: these methods to these paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EgressDelta {
    /// A host name, or a wildcard, as in a [`Route`].
    pub host: String,
    /// `https` unless given.
    #[serde(default, skip_serializing_if = "Scheme::is_default")]
    pub scheme: Scheme,
    /// The port; the scheme's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The methods, in upper case; none given means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The paths; none given means every path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
}

impl EgressDelta {
    /// The route that allows this and nothing else.
    #[must_use]
    pub fn route(&self) -> Route {
        Route {
            host: self.host.clone(),
            scheme: self.scheme,
            port: self.port,
            auth: None,
            matches: self.entry().into_iter().collect(),
            dlp: None,
            git: None,
            tls: None,
            allow_private: Vec::new(),
            connect_to: None,
            mount: None,
            role: None,
        }
    }

    /// The match entry that it stands for; none when it asks for every request.
    #[must_use]
    pub fn entry(&self) -> Option<Match> {
        let entry = Match { paths: self.paths.clone(), methods: self.methods.clone(), headers: Vec::new() };
        (entry != Match::default()).then_some(entry)
    }
}

/// What granting a delta added to a policy: what has to go when the grant ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Added {
    /// Nothing: the policy allowed all of it already.
    Nothing,
    /// A match entry of a route that was there.
    Entry,
    /// A route.
    Route,
}
