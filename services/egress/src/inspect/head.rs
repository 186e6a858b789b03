//! The head of a request as one text: host, path, query, header names and values.

use std::ops::Range;

use http::header::{AUTHORIZATION, Entry, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use scan::{Finding, Shape, blot};

use super::{Action, Inspection, Surface};
use crate::metrics::Stopwatch;
use crate::refusal::Refusal;

/// The text, and what its stretches are.
struct HeadText {
    text: Vec<u8>,
    stretches: Vec<(Range<usize>, Place)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Host,
    Path,
    Query,
    /// The nth value of a header.
    Header(HeaderName, usize),
}

impl Place {
    fn surface(&self) -> Surface {
        match self {
            Self::Host => Surface::Host,
            Self::Path => Surface::Path,
            Self::Query => Surface::Query,
            Self::Header(..) => Surface::Header,
        }
    }
}

/// Judges the head; blots out of it what has to be. `replaced`: the header whose value is ours, which the agent's own
/// never leaves for; where there is one, `Authorization` does not either.
///
/// # Errors
/// It holds what may not leave.
pub(crate) async fn inspect_head(
    inspection: &Inspection,
    parts: &mut Parts,
    path: &mut PathAndQuery,
    replaced: Option<&HeaderName>,
) -> Result<(), Refusal> {
    if injects_header(path) {
        return Err(Refusal::HeaderInjection);
    }
    let mut head = HeadText::new(&inspection.asked.host, parts, path, replaced);
    let mut is_changed = false;
    for finding in head.findings(inspection)? {
        let surface = head.place(&finding).surface();
        if inspection.judge(&finding, surface).await? == Action::Redact {
            head.blot(&finding);
            is_changed = true;
        }
    }
    if is_changed {
        head.write(parts, path)?;
        let again = head.findings(inspection)?;
        if !again.is_empty() {
            let surface = head.place(&again[0]).surface();
            if inspection.judge(&again[0], surface).await? == Action::Redact {
                return Err(Refusal::Unscannable("a secret in its head cannot be blotted out".to_owned()));
            }
        }
    }
    Ok(())
}

impl HeadText {
    fn new(host: &str, parts: &Parts, path: &PathAndQuery, replaced: Option<&HeaderName>) -> Self {
        let mut head = Self { text: Vec::with_capacity(1024), stretches: Vec::with_capacity(24) };
        head.add(host.as_bytes(), Place::Host);
        if host.matches('.').count() > 1 {
            // A value that fills more than one label.
            head.add(host.replace('.', "").as_bytes(), Place::Host);
        }
        head.add(path.path().as_bytes(), Place::Path);
        head.add(path.query().unwrap_or_default().as_bytes(), Place::Query);
        let is_kept = |name: &HeaderName| match replaced {
            Some(replaced) => name != replaced && name != AUTHORIZATION,
            None => true,
        };
        for name in parts.headers.keys().filter(|name| is_kept(name)) {
            for (nth, value) in parts.headers.get_all(name).iter().enumerate() {
                head.text.extend_from_slice(name.as_str().as_bytes());
                head.text.extend_from_slice(b": ");
                head.add(value.as_bytes(), Place::Header(name.clone(), nth));
            }
        }
        head
    }

    fn add(&mut self, text: &[u8], place: Place) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.stretches.push((start..self.text.len(), place));
        self.text.push(b'\n');
    }

    fn findings(&self, inspection: &Inspection) -> Result<Vec<Finding>, Refusal> {
        let Inspection { scanner, scanning, .. } = inspection;
        let _time = Stopwatch::start(scanner.times.as_ref().map(|times| &times.head));
        let findings = scanner.detectors.scan(&self.text, scanning.enabled, &Shape::Form);
        findings.map_err(|error| Refusal::Unscannable(format!("its head cannot be judged: {error}")))
    }

    /// The stretch where a finding begins.
    fn place(&self, finding: &Finding) -> &Place {
        let index = self.stretches.partition_point(|(range, _)| range.end as u64 <= finding.span.start);
        &self.stretches[index.min(self.stretches.len() - 1)].1
    }

    fn blot(&mut self, finding: &Finding) {
        let stretches = self.stretches.iter().filter(|(_, place)| place.surface().can_be_redacted());
        for (range, _) in stretches {
            let start = range.start.max(finding.span.start as usize);
            let end = range.end.min(finding.span.end as usize);
            if start < end {
                blot(&mut self.text[start..end]);
            }
        }
    }

    /// Writes what was blotted back to where it came from.
    fn write(&self, parts: &mut Parts, path: &mut PathAndQuery) -> Result<(), Refusal> {
        let malformed = || Refusal::Malformed("its head cannot be written without what was found".to_owned());
        for (range, place) in &self.stretches {
            let text = &self.text[range.clone()];
            match place {
                Place::Query if !text.is_empty() => {
                    let text = [path.path().as_bytes(), b"?", text].concat();
                    *path = PathAndQuery::try_from(text.as_slice()).map_err(|_| malformed())?;
                }
                Place::Header(name, nth) => {
                    let value = parts.headers.get_all(name).iter().nth(*nth);
                    if value.is_some_and(|value| value.as_bytes() != text) {
                        let new = HeaderValue::from_bytes(text).map_err(|_| malformed())?;
                        if let Entry::Occupied(mut values) = parts.headers.entry(name)
                            && let Some(value) = values.iter_mut().nth(*nth)
                        {
                            *value = new;
                        }
                    }
                }
                Place::Query | Place::Host | Place::Path => {}
            }
        }
        Ok(())
    }
}

/// An encoded line end with a header's name after it: some servers would read a header that nobody judged (RFC 9110,
/// section 5.5, and CWE-113).
fn injects_header(path: &PathAndQuery) -> bool {
    let text = path.as_str().as_bytes();
    let mut decoded = text.to_vec();
    for _ in 0..2 {
        if !decoded.contains(&b'%') {
            break;
        }
        decoded = percent_encoding::percent_decode(&decoded).collect();
        let mut lines = decoded.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if line.ends_with(b"\r") && lines.peek().is_some_and(|next| begins_header(next)) {
                return true;
            }
        }
    }
    false
}

/// `Name:`, with a name that a header can have.
fn begins_header(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    name > 0 && line.get(name) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_line_end_with_a_header_after_it_is_an_injection() {
        for (path, expected) in [
            ("/a?b=c%0d%0aX-Admin:%201", true),
            ("/a%0D%0ASet-Cookie:x=1", true),
            ("/a?b=c%250d%250aHost:%20evil", true),
            ("/a?text=one%0D%0Atwo", false),
            ("/a?text=one%0ANote:%20two", false),
            ("/a?b=c", false),
        ] {
            assert_eq!(injects_header(&path.parse().unwrap()), expected, "{path}");
        }
    }
}
