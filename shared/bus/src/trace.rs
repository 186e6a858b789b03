//! Trace context, so that webhook → start → request → proposal → decision → push is one trace.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// A W3C `traceparent` (Trace Context, section 3.2): which trace a message belongs to, and which step sent it.
///
/// ```
/// let trace = bus::Trace::random();
/// let child = trace.child();
/// assert_eq!(child.id(), trace.id());
/// assert_eq!(child.to_string().parse::<bus::Trace>().unwrap(), child);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct InvalidTrace;

impl Trace {
    /// The header that carries it on every message.
    pub const HEADER: &'static str = "traceparent";

    /// A new trace, sampled.
    #[must_use]
    pub fn random() -> Self {
        let mut rng = rand::rng();
        Self { id: rng.random_range(1..=u128::MAX), span: rng.random_range(1..=u64::MAX), flags: 1 }
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::rng().random_range(1..=u64::MAX), ..self }
    }

    /// The trace's id: 32 hex digits, the same for every step.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The step's id: 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether whoever began the trace wants it kept (Trace Context, section 3.2.2.5.1).
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl From<Trace> for String {
    fn from(trace: Trace) -> Self {
        trace.to_string()
    }
}

impl TryFrom<String> for Trace {
    type Error = InvalidTrace;

    fn try_from(text: String) -> Result<Self, InvalidTrace> {
        text.parse()
    }
}

impl schemars::JsonSchema for Trace {
    fn schema_name() -> Cow<'static, str> {
        "Trace".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A W3C `traceparent`.",
            "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
        })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl FromStr for Trace {
    type Err = InvalidTrace;

    /// Reads version 00, and later versions by their first four fields, as the recommendation says.
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let mut fields = text.split('-');
        let mut field = |length: usize| {
            let field = fields.next().filter(|f| f.len() == length).ok_or(InvalidTrace)?;
            let digits = field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if digits { u128::from_str_radix(field, 16).map_err(|_| InvalidTrace) } else { Err(InvalidTrace) }
        };
        let (version, id, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        if version == 0xff || id == 0 || span == 0 || (version == 0 && fields.next().is_some()) {
            return Err(InvalidTrace);
        }
        let span = u64::try_from(span).map_err(|_| InvalidTrace)?;
        let flags = u8::try_from(flags).map_err(|_| InvalidTrace)?;
        Ok(Self { id, span, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_recommendation_shows_and_refuses_the_rest() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(good.parse::<Trace>().unwrap().to_string(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Trace>(), Err(InvalidTrace), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<Trace>();
        }
    }
}
