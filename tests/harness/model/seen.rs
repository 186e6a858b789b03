//! A request as it arrived.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// How much of a body's end is shown of a request.
const SHOWN: usize = 2000;

/// A request to the model's API.
#[derive(Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, decoded.
    pub body: String,
    /// When it had arrived, whole.
    pub at: Timestamp,
    /// Whether it took a turn of the script.
    pub took_turn: bool,
}

impl Asked {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Its body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether this text is anywhere in it.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.body.contains(text)
            || self.path.contains(text)
            || self.headers.iter().any(|(name, value)| name.contains(text) || value.contains(text))
    }
}

/// Clients send a hundred kilobytes of what they are; what matters is at the end.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = &self.body[self.body.ceil_char_boundary(self.body.len().saturating_sub(SHOWN))..];
        write!(f, "{} {} {:?}\n…{end}", self.method, self.path, self.headers)
    }
}
