//! `matches`: which requests are allowed (E2).

use regex::{Regex, RegexBuilder};

use super::auth::header_name;
use super::{Expressions, bounded, is_text};
use crate::checked::{Entry, HeaderTest, PathTest, ValueTest};
use crate::limit;
use crate::path::NormalPath;
use crate::problem::{KeyPath, Problems};
use crate::route::{HeaderKind, HeaderMatch, Match, PathKind, PathMatch};

/// Headers that the proxy takes from every request (RFC 9110, section 7.6.1): the host would not see what was tested.
const OF_ONE_CONNECTION: [&str; 11] = [
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check_matches(
    matches: &[Match],
    at: &KeyPath,
    expressions: &mut Expressions,
    problems: &mut Problems,
) -> Vec<Entry> {
    bounded(matches.len(), limit::MATCHES, "entries", at, problems);
    let entries = matches.iter().take(limit::MATCHES).enumerate();
    entries.map(|(index, entry)| check_entry(entry, &at.item(index), expressions, problems)).collect()
}

/// The entry with what is right in it. It is used only if nothing is wrong anywhere.
fn check_entry(entry: &Match, at: &KeyPath, expressions: &mut Expressions, problems: &mut Problems) -> Entry {
    if entry == &Match::default() {
        problems
            .push(at, "an empty entry is unclear; give paths, methods or headers, or leave `matches` out");
    }
    let mut compiled = Entry::default();
    let at_paths = at.key("paths");
    bounded(entry.paths.len(), limit::PATHS, "paths", &at_paths, problems);
    for (index, path) in entry.paths.iter().take(limit::PATHS).enumerate() {
        compiled.paths.extend(check_path(path, &at_paths.item(index), expressions, problems));
    }
    let at_methods = at.key("methods");
    bounded(entry.methods.len(), limit::METHODS, "methods", &at_methods, problems);
    for (index, method) in entry.methods.iter().take(limit::METHODS).enumerate() {
        check_method(method, &at_methods.item(index), problems);
        compiled.methods.push(method.as_str().into());
    }
    let at_headers = at.key("headers");
    bounded(entry.headers.len(), limit::HEADERS, "headers", &at_headers, problems);
    for (index, header) in entry.headers.iter().take(limit::HEADERS).enumerate() {
        compiled.headers.extend(check_header(header, &at_headers.item(index), expressions, problems));
    }
    compiled
}

fn check_path(
    path: &PathMatch,
    at: &KeyPath,
    expressions: &mut Expressions,
    problems: &mut Problems,
) -> Option<PathTest> {
    let at = at.key("value");
    let value = path.value.as_str();
    match path.kind {
        PathKind::Prefix => check_plain_path(value, &at, problems).then(|| PathTest::Prefix(value.into())),
        PathKind::Exact => check_plain_path(value, &at, problems).then(|| PathTest::Exact(value.into())),
        PathKind::Regex => compile(value, &at, expressions, problems).map(PathTest::Regex),
    }
}

/// A path that is compared with normal ones must have the normal form itself. Whether it is fine.
pub(super) fn check_plain_path(value: &str, at: &KeyPath, problems: &mut Problems) -> bool {
    if !is_text(value, at, problems) {
        return false;
    }
    let message = match NormalPath::parse(value) {
        Ok(normal) if normal.as_str() == value => return true,
        Ok(normal) => format!("no request has this path after normalisation; write {normal}"),
        Err(crate::AmbiguousPath::NotAbsolute) => {
            format!("a path begins with /; write /{}", base::inert(value, 80))
        }
        Err(reason) => format!("no request is let through with such a path: {reason}"),
    };
    problems.push(at, message);
    false
}

fn check_method(method: &str, at: &KeyPath, problems: &mut Problems) {
    let shown = base::inert(method, limit::METHOD);
    if method.is_empty()
        || method.len() > limit::METHOD
        || http::Method::from_bytes(method.as_bytes()).is_err()
    {
        problems.push(at, format!("`{shown}` is not a method, such as GET or POST"));
    } else if method.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push(at, format!("methods are in upper case; write {}", shown.to_ascii_uppercase()));
    }
}

fn check_header(
    header: &HeaderMatch,
    at: &KeyPath,
    expressions: &mut Expressions,
    problems: &mut Problems,
) -> Option<HeaderTest> {
    let name = header_name(&header.name, &at.key("name"), problems);
    if name.as_ref().is_some_and(|name| OF_ONE_CONNECTION.contains(&name.as_str())) {
        let message =
            "this header is for the connection to the proxy and never reaches the host; test another one";
        problems.push(&at.key("name"), message);
    }
    let at = at.key("value");
    let value = match header.kind {
        HeaderKind::Exact => {
            is_text(&header.value, &at, problems).then(|| ValueTest::Exact(header.value.as_str().into()))
        }
        HeaderKind::Regex => compile(&header.value, &at, expressions, problems).map(ValueTest::Regex),
    };
    Some(HeaderTest { name: name?, value: value? })
}

/// An expression that must match the whole value.
fn compile(
    text: &str,
    at: &KeyPath,
    expressions: &mut Expressions,
    problems: &mut Problems,
) -> Option<Regex> {
    expressions.0 += 1;
    if expressions.0 > limit::EXPRESSIONS {
        problems
            .push(at, format!("too many regular expressions in one policy; at most {}", limit::EXPRESSIONS));
        return None;
    }
    if !is_text(text, at, problems) {
        return None;
    }
    // Alone first: `a)|(b` would only become an expression by the brackets put around it, and escape the anchors.
    match build(text).and_then(|_| build(&format!(r"\A(?:{text})\z"))) {
        Ok(expression) => Some(expression),
        Err(error) => {
            problems.push(at, format!("this is no usable regular expression: {}", reason(&error)));
            None
        }
    }
}

fn build(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(limit::EXPRESSION_BYTES)
        .dfa_size_limit(limit::EXPRESSION_BYTES)
        .nest_limit(32)
        .build()
}

/// The last line of the library's text, which has the reason without the drawing above it.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it compiles to more than 512 KiB; make it simpler".to_owned(),
        error => {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            base::inert(line.trim_start_matches("error: "), 200)
        }
    }
}
