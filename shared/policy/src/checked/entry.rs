//! One entry of `matches`, compiled (E2).

use http::{HeaderMap, HeaderName, HeaderValue};
use regex::Regex;

use crate::header::overriding;
use crate::path::NormalPath;

/// Tests of one entry; an empty list is a dimension that was not given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) paths: Vec<PathTest>,
    pub(crate) methods: Vec<Box<str>>,
    pub(crate) headers: Vec<HeaderTest>,
}

impl Entry {
    /// Whether each given dimension matches.
    pub(crate) fn allows(&self, path: &NormalPath<'_>, method: &str, headers: &HeaderMap) -> bool {
        self.method(method) != Some(false)
            && self.path(path) != Some(false)
            && self.headers(headers) != Some(false)
            && self.overriding(headers).is_none()
    }

    /// The header by which some servers take another method or path than the ones that this entry tests. One that the
    /// entry itself tests is expected.
    pub(crate) fn overriding<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderName> {
        if self.paths.is_empty() && self.methods.is_empty() {
            return None;
        }
        overriding(headers, |name| self.headers.iter().any(|test| test.name == *name))
    }

    pub(crate) fn path(&self, path: &NormalPath<'_>) -> Option<bool> {
        (!self.paths.is_empty()).then(|| self.paths.iter().any(|test| test.allows(path)))
    }

    pub(crate) fn method(&self, method: &str) -> Option<bool> {
        (!self.methods.is_empty()).then(|| self.methods.iter().any(|allowed| **allowed == *method))
    }

    pub(crate) fn headers(&self, headers: &HeaderMap) -> Option<bool> {
        (!self.headers.is_empty()).then(|| self.headers.iter().all(|test| test.allows(headers)))
    }
}

/// One item of `paths`.
#[derive(Clone, Debug)]
pub(crate) enum PathTest {
    Prefix(Box<str>),
    Exact(Box<str>),
    Regex(Regex),
}

impl PathTest {
    fn allows(&self, path: &NormalPath<'_>) -> bool {
        match self {
            Self::Prefix(prefix) => path.is_at_or_below(prefix),
            Self::Exact(exact) => **exact == *path.as_str(),
            Self::Regex(expression) => expression.is_match(path.as_str()),
        }
    }
}

/// One item of `headers`.
#[derive(Clone, Debug)]
pub(crate) struct HeaderTest {
    pub(crate) name: HeaderName,
    pub(crate) value: ValueTest,
}

/// What a header's value must be.
#[derive(Clone, Debug)]
pub(crate) enum ValueTest {
    Exact(Box<str>),
    Regex(Regex),
}

impl HeaderTest {
    /// Whether the header is there and each of its lines matches: of several lines nobody knows which one the
    /// other side will take.
    fn allows(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.name).iter().peekable();
        lines.peek().is_some() && lines.all(|line| self.value.allows(line))
    }
}

impl ValueTest {
    fn allows(&self, value: &HeaderValue) -> bool {
        match self {
            Self::Exact(exact) => value.as_bytes() == exact.as_bytes(),
            Self::Regex(expression) => value.to_str().is_ok_and(|text| expression.is_match(text)),
        }
    }
}
