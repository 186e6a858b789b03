//! Why a request goes nowhere, for the agent to read and for records to count.

use std::fmt;

use crate::host::Host;
use crate::path::AmbiguousPath;
use crate::route::{Match, PathKind, Scheme};

/// Why a request was refused. Its text is inert and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No route covers the host.
    #[error("no route of this bottle covers the host {host}")]
    UnlistedHost {
        /// The host that was asked for.
        host: Host,
    },
    /// The host is covered, for the other scheme.
    #[error("the routes for {host} do not allow {}; use {}", .given.as_str(), other(*.given).as_str())]
    WrongScheme {
        /// The host that was asked for.
        host: Host,
        /// The scheme that was asked for.
        given: Scheme,
    },
    /// The host is covered, at another port.
    #[error("the routes for {host} do not allow port {given}; use port {}", or(.allowed))]
    WrongPort {
        /// The host that was asked for.
        host: Host,
        /// The port that was asked for.
        given: u16,
        /// The ports of the routes that cover the host.
        allowed: Vec<u16>,
    },
    /// The path has more than one meaning.
    #[error("the path is ambiguous: {0}")]
    AmbiguousPath(AmbiguousPath),
    /// No entry of the route's `matches` allows the request (E2).
    #[error("{0}")]
    NoMatch(Box<NoMatch>),
    /// A push over HTTP (E7).
    #[error(
        "git does not push through this proxy; push to the repository's remote at http://gitgate:9420, where the \
         git gate scans and forwards it"
    )]
    GitPush,
    /// An LFS request that could be an upload: which it is stands in its body (E7).
    #[error(
        "git LFS requests other than reading an object do not pass this proxy, since they may upload; use the git \
         gate at http://gitgate:9420"
    )]
    GitLfs,
    /// A clone or fetch over HTTP on a route without `git: {fetch: true}` (E7).
    #[error("the route for {host} has no `git: {{fetch: true}}`, so git can neither clone nor fetch over it")]
    GitFetchNotAllowed {
        /// The route's host, as written.
        host: String,
    },
}

/// The rules whose refusals another route, or another entry of it, would have prevented.
pub const GRANTABLE: [&str; 4] = ["unlisted-host", "wrong-scheme", "wrong-port", "no-match"];

impl Refusal {
    /// Whether a person could allow it, so that asking makes sense.
    #[must_use]
    pub fn is_grantable(&self) -> bool {
        GRANTABLE.contains(&self.rule())
    }

    /// The stable name of the rule that refused, as in `docs/errors.md`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::UnlistedHost { .. } => "unlisted-host",
            Self::WrongScheme { .. } => "wrong-scheme",
            Self::WrongPort { .. } => "wrong-port",
            Self::AmbiguousPath(_) => "ambiguous-path",
            Self::NoMatch(_) => "no-match",
            Self::GitPush => "git-push",
            Self::GitLfs => "git-lfs",
            Self::GitFetchNotAllowed { .. } => "git-fetch",
        }
    }
}

fn other(scheme: Scheme) -> Scheme {
    match scheme {
        Scheme::Https => Scheme::Http,
        Scheme::Http => Scheme::Https,
    }
}

fn or(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}

/// How each entry of a route failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMatch {
    /// The route's host, as written.
    pub host: String,
    /// The method that was asked for, inert.
    pub method: String,
    /// The normalised path that was asked for, inert.
    pub path: String,
    /// One for each entry of `matches`, in order.
    pub entries: Vec<EntryFailure>,
}

/// Which dimensions of one entry did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFailure {
    /// The entry, counted from 0.
    pub entry: usize,
    /// None of its paths matched.
    pub path: bool,
    /// None of its methods matched.
    pub method: bool,
    /// One of its headers did not match.
    pub headers: bool,
    /// The request has this header, by which some servers take another method or path than what was judged.
    pub overriding: Option<String>,
    /// The entry, as written.
    pub allows: Match,
}

/// Entries that a refusal spells out; the rest is counted.
const SHOWN: usize = 3;

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the route for {} does not allow {} {}", self.host, self.method, self.path)?;
        for failure in self.entries.iter().take(SHOWN) {
            write!(f, "; {failure}")?;
        }
        match self.entries.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more entries"),
        }
    }
}

impl fmt::Display for EntryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.entry)?;
        let mut joint = " needs";
        if self.method {
            write!(f, "{joint} method {}", self.allows.methods.join(" or "))?;
            joint = " and";
        }
        if self.path {
            let paths = self.allows.paths.iter().take(SHOWN).map(|path| match path.kind {
                PathKind::Prefix => format!("below {}", path.value),
                PathKind::Exact => path.value.clone(),
                PathKind::Regex => format!("like {}", path.value),
            });
            write!(f, "{joint} path {}", base::inert(&paths.collect::<Vec<_>>().join(" or "), 300))?;
            joint = " and";
        }
        if self.headers {
            // Names only: what a header must hold may be something that the agent should not simply copy.
            let names =
                self.allows.headers.iter().map(|header| header.name.as_str()).collect::<Vec<_>>().join(", ");
            write!(f, "{joint} its value of {names}")?;
            joint = " and";
        }
        if let Some(name) = &self.overriding {
            write!(f, "{joint} the request without {name}, which could change its method or path")?;
        }
        Ok(())
    }
}
