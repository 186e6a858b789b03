//! A request as it arrived.

use serde_json::Value;

/// A request to the model's API.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, decoded.
    pub body: String,
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
