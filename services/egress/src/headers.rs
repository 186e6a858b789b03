//! Headers that belong to one connection and do not travel further (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Always for one connection only. `Expect` is among them, since the proxy meets the expectation itself.
const HOP_BY_HOP: [HeaderName; 10] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY_AUTHORIZATION,
    HTTP2_SETTINGS,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// What the sender nominates in `Connection` and what is removed anyway, but never what routes or frames a message: a
/// client could otherwise make the proxy forget its `Host` or its length.
pub(crate) fn strip(headers: &mut HeaderMap) {
    // Most messages have none of them, and looking is cheaper than removing what is not there.
    if !headers.keys().any(|name| *name == CONNECTION || HOP_BY_HOP.contains(name)) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        for name in nominated(headers) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    names
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !matches!(*name, HOST | http::header::CONTENT_LENGTH | CONNECTION))
        .collect()
}

/// Like [`strip`], for a request; `TE: trailers` is said again, since this proxy passes trailers on.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    let trailers = has_token(headers, &TE, "trailers");
    strip(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Removes what some servers take for one of the guarded headers; those themselves stay.
pub(crate) fn strip_twins(headers: &mut HeaderMap, guarded: &[HeaderName]) {
    if guarded.is_empty() {
        return;
    }
    let is_twin = |name: &&HeaderName| {
        guarded.iter().any(|guarded| policy::reads_alike(name.as_str(), guarded.as_str()))
            && !guarded.contains(name)
    };
    let twins: Vec<_> = headers.keys().filter(is_twin).cloned().collect();
    for name in twins {
        headers.remove(name);
    }
}

/// What may not stand in trailers: framing, routing, and the guarded headers of the route, which were judged or
/// injected above (RFC 9110, section 6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap, guarded: &[HeaderName]) {
    strip(trailers);
    for name in
        [HOST, http::header::CONTENT_LENGTH, http::header::AUTHORIZATION, http::header::COOKIE, TRAILER]
    {
        trailers.remove(name);
    }
    strip_twins(trailers, guarded);
    for name in guarded {
        trailers.remove(name);
    }
}

/// Whether a comma-separated header has this member, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|member| member.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_what_is_for_the_other_end_passes() {
        let mut given = headers(&[
            ("host", "a"),
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "gzip"),
            ("trailer", "t"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAAA"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ]);
        strip_request(&mut given);
        assert_eq!(given, headers(&[("host", "a"), ("trailer", "t"), ("accept", "*/*")]));
    }

    #[test]
    fn a_client_cannot_nominate_what_routes_or_frames() {
        let mut given =
            headers(&[("host", "a"), ("content-length", "3"), ("connection", "host, content-length")]);
        strip_request(&mut given);
        assert_eq!(given, headers(&[("host", "a"), ("content-length", "3")]));
    }

    #[test]
    fn trailers_are_announced_again() {
        let mut given = headers(&[("te", "trailers, deflate;q=0.5")]);
        strip_request(&mut given);
        assert_eq!(given, headers(&[("te", "trailers"), ("connection", "te")]));
    }

    #[test]
    fn nothing_passes_for_a_guarded_header() {
        let guarded = ["x-team", "x-a_b", "x-a-b"].map(|name| name.parse().unwrap());
        let mut given =
            headers(&[("x-team", "1"), ("x_team", "2"), ("x_other", "3"), ("x-a_b", "4"), ("x_a_b", "5")]);
        strip_twins(&mut given, &guarded);
        assert_eq!(given, headers(&[("x-team", "1"), ("x_other", "3"), ("x-a_b", "4")]));
    }

    #[test]
    fn trailers_smuggle_no_credential() {
        let mut given = headers(&[
            ("x-api-key", "1"),
            ("x_api-key", "1"),
            ("authorization", "1"),
            ("host", "a"),
            ("grpc-status", "0"),
        ]);
        strip_trailers(&mut given, &["x-api-key".parse().unwrap()]);
        assert_eq!(given, headers(&[("grpc-status", "0")]));
    }
}
