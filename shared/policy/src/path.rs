//! One form of a path, or a refusal: two programs must not read the same path differently.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A path in its one form (RFC 3986, sections 2.3 and 6.2.2): absolute, escapes of unreserved characters decoded,
/// the remaining escapes in upper case, and nothing in it that servers are known to disagree about. The query is no
/// part of it. Parsing a path that already has this form allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NormalPath<'a>(Cow<'a, str>);

/// Why a path has no single meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// It does not begin with `/`.
    #[error("it does not begin with /")]
    NotAbsolute,
    /// `//`
    #[error("it has an empty segment (//)")]
    DoubleSlash,
    /// `.` or `..` as a segment, also with spaces, which some servers drop.
    #[error("it has a . or .. segment; send the path it leads to")]
    DotSegment,
    /// `;` or `%3B`, which some servers cut off with all that follows.
    #[error("it has a ; (or %3B), which servers read differently")]
    Parameter,
    /// `\` or `%5C`
    #[error("it has a backslash (or %5C), which some servers take for /")]
    Backslash,
    /// `%2F`
    #[error("it has an encoded slash (%2F)")]
    EncodedSlash,
    /// `%2E`
    #[error("it has an encoded dot (%2E)")]
    EncodedDot,
    /// `%25`: a server that decodes twice sees another path.
    #[error("it has an encoded percent sign (%25)")]
    EncodedPercent,
    /// A control character, NUL or a space, plain or encoded (a space may be encoded).
    #[error("it has a control character, a plain space or an encoded one of the former")]
    Control,
    /// `%` without two hexadecimal digits.
    #[error("it has a % without two hexadecimal digits")]
    BadEscape,
    /// Its escapes spell no UTF-8.
    #[error("its escapes are not valid UTF-8")]
    NotUtf8,
    /// A `?` or `#`: the query and the fragment are not part of a path.
    #[error("it has a ? or #")]
    NotOnlyPath,
}

impl<'a> NormalPath<'a> {
    /// Brings a path into its one form.
    ///
    /// # Errors
    /// When servers could take it for another path.
    pub fn parse(text: &'a str) -> Result<Self, AmbiguousPath> {
        if !text.starts_with('/') {
            return Err(AmbiguousPath::NotAbsolute);
        }
        let path = if text.bytes().all(is_plain) {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(rewrite(text.as_bytes())?)
        };
        check_segments(&path)?;
        Ok(Self(path))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path without a borrow.
    #[must_use]
    pub fn into_owned(self) -> NormalPath<'static> {
        NormalPath(Cow::Owned(self.0.into_owned()))
    }

    /// Whether the path is `prefix`, or continues below it at a `/`. A prefix that ends in `/` covers what is below
    /// it, and itself.
    #[must_use]
    pub fn is_at_or_below(&self, prefix: &str) -> bool {
        self.0
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
    }
}

impl fmt::Display for NormalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Characters that stand for themselves in the one form, and the slash.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn rewrite(text: &[u8]) -> Result<String, AmbiguousPath> {
    let mut normal = String::with_capacity(text.len() + 16);
    let mut meaning = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let (value, escaped, next) =
            if *byte == b'%' { unescape(tail)? } else { (plain(*byte)?, false, tail) };
        meaning.push(value);
        rest = next;
        if is_unreserved(value) || (!escaped && is_plain(value)) {
            normal.push(char::from(value));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(normal, "%{value:02X}");
        }
    }
    let meaning = std::str::from_utf8(&meaning).map_err(|_| AmbiguousPath::NotUtf8)?;
    if meaning.chars().any(char::is_control) {
        return Err(AmbiguousPath::Control);
    }
    Ok(normal)
}

/// What a character that was not escaped means.
fn plain(byte: u8) -> Result<u8, AmbiguousPath> {
    match byte {
        b'\\' => Err(AmbiguousPath::Backslash),
        b';' => Err(AmbiguousPath::Parameter),
        b'?' | b'#' => Err(AmbiguousPath::NotOnlyPath),
        b' ' => Err(AmbiguousPath::Control),
        byte => Ok(byte),
    }
}

/// The value of the escape whose two digits open `tail`, and what follows it.
fn unescape(tail: &[u8]) -> Result<(u8, bool, &[u8]), AmbiguousPath> {
    let [high, low, rest @ ..] = tail else { return Err(AmbiguousPath::BadEscape) };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(AmbiguousPath::BadEscape) };
    match high << 4 | low {
        b'/' => Err(AmbiguousPath::EncodedSlash),
        b'\\' => Err(AmbiguousPath::Backslash),
        b'.' => Err(AmbiguousPath::EncodedDot),
        b'%' => Err(AmbiguousPath::EncodedPercent),
        b';' => Err(AmbiguousPath::Parameter),
        value => Ok((value, true, rest)),
    }
}

fn check_segments(path: &str) -> Result<(), AmbiguousPath> {
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(AmbiguousPath::DoubleSlash),
            "." | ".." => return Err(AmbiguousPath::DotSegment),
            _ if is_dots_and_spaces(segment) => return Err(AmbiguousPath::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

fn is_dots_and_spaces(segment: &str) -> bool {
    segment.contains('.') && segment.contains("%20") && without_tail(segment).is_empty()
}

/// A segment without the dots and spaces at its end, which some file systems drop from names.
pub(crate) fn without_tail(segment: &str) -> &str {
    let mut rest = segment;
    while let Some(shorter) = rest.strip_suffix('.').or_else(|| rest.strip_suffix("%20")) {
        rest = shorter;
    }
    rest
}
