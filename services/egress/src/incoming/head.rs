//! The head of an answer, and its trailers.

use bus::message::egress::{Found, Outcome};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use hyper::ext::ReasonPhrase;
use scan::{Finding, blot};

use super::{Secrets, echoed};
use crate::refusal::Refusal;

/// Tells the agent that an answer looks somewhat like instructions.
const MARK: HeaderName = HeaderName::from_static("x-bot-bottle-injection");

/// Media types that are read by models, but for `text/*`; also as a suffix, as in `application/ld+json`.
const TEXTUAL: [&str; 15] = [
    "json",
    "x-ndjson",
    "ndjson",
    "jsonl",
    "x-jsonlines",
    "json-seq",
    "xml",
    "javascript",
    "x-javascript",
    "ecmascript",
    "yaml",
    "x-yaml",
    "toml",
    "x-sh",
    "x-www-form-urlencoded",
];

/// How a body is read for instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Not at all.
    Skip,
    /// As one text.
    Text,
    /// Event by event.
    Events,
}

/// How the body of an answer with these headers is read.
pub(super) fn reading(headers: &HeaderMap) -> Reading {
    match media_type(headers) {
        _ if is_event_stream(headers) => Reading::Events,
        Some(media_type) if !is_textual(&media_type) => Reading::Skip,
        _ => Reading::Text,
    }
}

/// Whether it consists of events (WHATWG HTML, section 9.2).
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| media_type == "text/event-stream")
}

/// The media type without its parameters, in lower case; `None` where none can be read.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.contains('/').then(|| media_type.to_ascii_lowercase())
}

fn is_textual(media_type: &str) -> bool {
    let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    matches!(kind, "text" | "multipart" | "message") || TEXTUAL.contains(&suffix)
}

/// What only this proxy says.
pub(super) fn forget_mark(headers: &mut HeaderMap) {
    headers.remove(MARK);
}

pub(super) fn mark(headers: &mut HeaderMap, value: HeaderValue) {
    headers.insert(MARK, value);
}

/// Blots the bottle's secrets out of a head. What was found.
///
/// # Errors
/// It cannot be judged, or a secret cannot be blotted out.
pub(super) fn scrub_head(parts: &mut Parts, secrets: &Secrets) -> Result<Vec<Found>, Refusal> {
    let mut told = scrub(&mut parts.headers, secrets)?;
    if let Some(phrase) = parts.extensions.get::<ReasonPhrase>() {
        let found = scan(secrets, phrase.as_bytes())?;
        if !found.is_empty() {
            parts.extensions.remove::<ReasonPhrase>();
            told.extend(found.iter().map(|finding| echoed(finding, Outcome::Redacted)));
        }
    }
    Ok(told)
}

/// The same for headers or trailers. One that has a secret in its name goes.
///
/// # Errors
/// As [`scrub_head`].
pub(super) fn scrub(headers: &mut HeaderMap, secrets: &Secrets) -> Result<Vec<Found>, Refusal> {
    let found = scan(secrets, &text(headers))?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    for (name, value) in &std::mem::take(headers) {
        if let Some(value) = scrub_one(name, value, secrets)? {
            headers.append(name, value);
        }
    }
    match scan(secrets, &text(headers))?.first() {
        Some(finding) => Err(Refusal::Echo(Box::new(echoed(finding, Outcome::Blocked)))),
        None => Ok(found.iter().map(|finding| echoed(finding, Outcome::Redacted)).collect()),
    }
}

fn scrub_one(
    name: &HeaderName,
    value: &HeaderValue,
    secrets: &Secrets,
) -> Result<Option<HeaderValue>, Refusal> {
    let mut line = Vec::new();
    write(&mut line, name, value);
    let start = line.len() - value.len() - 1;
    let found = scan(secrets, &line)?;
    if found.is_empty() {
        return Ok(Some(value.clone()));
    }
    for finding in found {
        let span = (finding.span.start as usize).max(start)..(finding.span.end as usize).max(start);
        blot(&mut line[span]);
    }
    let is_clean = scan(secrets, &line)?.is_empty();
    Ok(HeaderValue::from_bytes(&line[start..line.len() - 1]).ok().filter(|_| is_clean))
}

fn text(headers: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::with_capacity(1024);
    headers.iter().for_each(|(name, value)| write(&mut text, name, value));
    text
}

fn write(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
        text.extend_from_slice(part);
    }
}

fn scan(secrets: &Secrets, text: &[u8]) -> Result<Vec<Finding>, Refusal> {
    secrets.scan(text).map_err(|error| Refusal::UnscannableAnswer(format!("its head: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_read_is_read() {
        for (kind, expected) in [
            (None, Reading::Text),
            (Some("text/html; charset=utf-8"), Reading::Text),
            (Some("Application/JSON"), Reading::Text),
            (Some("application/vnd.github+json"), Reading::Text),
            (Some("image/svg+xml"), Reading::Text),
            (Some("application/x-ndjson"), Reading::Text),
            (Some("nonsense"), Reading::Text),
            (Some("Text/Event-Stream;charset=utf-8"), Reading::Events),
            (Some("application/octet-stream"), Reading::Skip),
            (Some("image/png"), Reading::Skip),
            (Some("application/grpc"), Reading::Skip),
            (Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document"), Reading::Skip),
        ] {
            let headers =
                kind.map(|kind| (CONTENT_TYPE, kind.parse().unwrap())).into_iter().collect::<HeaderMap>();
            assert_eq!(reading(&headers), expected, "{kind:?}");
        }
    }
}
