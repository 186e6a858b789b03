//! The one form of a request's headers: brought about before anything is decided, so that what was judged is what
//! the origin gets.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Version};

use crate::framing::Flaw;
use crate::headers::{has_token, strip_request};
use crate::refusal::Refusal;

/// Removes and joins what does not travel as it came.
///
/// # Errors
/// [`Refusal::Upgrade`], [`Refusal::Expectation`], [`Refusal::Framing`].
pub(crate) fn normalise(parts: &mut Parts) -> Result<(), Refusal> {
    check_upgrade(&parts.method, &parts.headers)?;
    check_expectation(&parts.headers)?;
    if parts.version == Version::HTTP_2 {
        check_length(&parts.headers)?;
    }
    strip_request(&mut parts.headers);
    join_cookies(&mut parts.headers)
}

fn check_upgrade(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(upgrade) = headers.get(UPGRADE) else { return Ok(()) };
    let is_websocket = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket");
    let is_asked = has_token(headers, &CONNECTION, "upgrade") && *method == Method::GET;
    if is_websocket && is_asked && headers.get_all(UPGRADE).iter().count() == 1 {
        return Ok(());
    }
    Err(Refusal::Upgrade(base::inert(&String::from_utf8_lossy(upgrade.as_bytes()), 40)))
}

fn check_expectation(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Refusal::Expectation(base::inert(&String::from_utf8_lossy(value.as_bytes()), 40)))
        }
        _ => Ok(()),
    }
}

/// What [`Framing`](crate::framing::Framing) checks on HTTP/1. HTTP/2 has its own framing, but the length may reach an
/// origin that has not.
fn check_length(headers: &HeaderMap) -> Result<(), Flaw> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(Flaw::RepeatedLength);
    }
    let digits = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    if digits { Ok(()) } else { Err(Flaw::BadLength) }
}

/// HTTP/2 may send one `Cookie` for each pair; HTTP/1.1 knows only one (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refusal> {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        let pairs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let joined = HeaderValue::from_bytes(&pairs.join(&b"; "[..])).map_err(|_| Refusal::Internal)?;
        headers.insert(COOKIE, joined);
    }
    Ok(())
}
