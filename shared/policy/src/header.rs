//! Header names that mean more to a server than to this program.

use http::{HeaderMap, HeaderName};

/// By these some servers and frameworks take another method, host or path than the request line and `Host` say.
const OVERRIDES: [&str; 8] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-uri",
];

/// Whether a server that turns header names into variables (`HTTP_X_TEAM`; RFC 3875, section 4.1.18) takes one for the
/// other. Names are in lower case, as [`HeaderName::as_str`] gives them.
#[must_use]
pub fn reads_alike(name: &str, other: &str) -> bool {
    let letter = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == other.len() && name.bytes().map(letter).eq(other.bytes().map(letter))
}

/// The first header that would make some servers act on another request than the one that is judged, unless its name
/// is among the `expected` ones.
pub(crate) fn overriding(headers: &HeaderMap, expected: impl Fn(&HeaderName) -> bool) -> Option<&HeaderName> {
    headers.keys().find(|name| {
        let text = name.as_str();
        text.starts_with('x') && OVERRIDES.iter().any(|other| reads_alike(text, other)) && !expected(name)
    })
}
