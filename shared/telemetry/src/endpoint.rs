//! Where spans go, by the variables of the OpenTelemetry specification ("OpenTelemetry Protocol Exporter",
//! configuration options).

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// The base of all signals; spans go to `/v1/traces` below it.
const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where spans alone go, as it stands.
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// How they are encoded, for all signals and for spans alone.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"];

/// A collector's URL for spans: `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the `Host` header has it.
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// A text that is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not `http://host:port` with an optional path; a collector near this host can pass spans on over https"
)]
pub struct InvalidUrl;

/// A setting that cannot be followed. Its value is not shown: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableEndpoint {
    /// No URL of a collector.
    #[error("{0} is {InvalidUrl}")]
    Url(&'static str),
    /// Not OTLP over HTTP.
    #[error(
        "{0} is grpc, and spans are sent over HTTP only: leave it out, and name the collector's HTTP port"
    )]
    Protocol(&'static str),
}

impl Endpoint {
    /// Reads the variables; `None` if none of them names a collector. One that is empty is as good as none.
    ///
    /// # Errors
    /// [`UnusableEndpoint`]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UnusableEndpoint> {
        let value = |name| variable(name).filter(|value| !value.is_empty());
        let (name, url) = match (value(TRACES), value(BASE)) {
            (Some(url), _) => (TRACES, url),
            (None, Some(url)) => (BASE, url.trim_end_matches('/').to_owned() + "/v1/traces"),
            (None, None) => return Ok(None),
        };
        if let Some(name) = PROTOCOLS.into_iter().find(|name| value(name).as_deref() == Some("grpc")) {
            return Err(UnusableEndpoint::Protocol(name));
        }
        url.parse().map(Some).map_err(|InvalidUrl| UnusableEndpoint::Url(name))
    }

    /// The same of this process's environment.
    ///
    /// # Errors
    /// As [`Endpoint::of`].
    pub fn of_process() -> Result<Option<Self>, UnusableEndpoint> {
        Self::of(|name| std::env::var(name).ok())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidUrl)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.filter(|authority| !authority.host().is_empty()).ok_or(InvalidUrl)?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() {
            return Err(InvalidUrl);
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            path: uri.path().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<String>, UnusableEndpoint> {
        let found = |name: &str| variables.iter().find(|(given, _)| *given == name);
        let endpoint = Endpoint::of(|name| found(name).map(|(_, value)| (*value).to_owned()))?;
        Ok(endpoint.map(|endpoint| endpoint.to_string()))
    }

    #[test]
    fn the_standard_variables_name_the_collector() {
        for (variables, expected) in [
            (&[][..], Ok(None)),
            (&[(BASE, "")], Ok(None)),
            (&[(PROTOCOLS[0], "grpc")], Ok(None)),
            (&[(BASE, "http://localhost:4318")], Ok(Some("http://localhost:4318/v1/traces"))),
            (&[(BASE, "HTTP://[::1]:4318/otlp/")], Ok(Some("http://[::1]:4318/otlp/v1/traces"))),
            (&[(BASE, "http://a"), (TRACES, "http://b:1/x")], Ok(Some("http://b:1/x"))),
            (&[(BASE, "https://a"), (TRACES, "http://b:1")], Ok(Some("http://b:1/"))),
            (&[(BASE, "https://a:4318")], Err(UnusableEndpoint::Url(BASE))),
            (&[(BASE, "a:4318")], Err(UnusableEndpoint::Url(BASE))),
            (&[(BASE, "http://user@a")], Err(UnusableEndpoint::Url(BASE))),
            (&[(TRACES, "http://a/?key=1")], Err(UnusableEndpoint::Url(TRACES))),
            (&[(BASE, "http://a"), (PROTOCOLS[1], "grpc")], Err(UnusableEndpoint::Protocol(PROTOCOLS[1]))),
        ] {
            assert_eq!(of(variables), expected.map(|url| url.map(str::to_owned)), "{variables:?}");
        }
        let endpoint: Endpoint = "http://[::1]/x".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("::1", 80));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in "(http://)?[a-z:/@?#.\\[\\]0-9]{0,20}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }
    }
}
