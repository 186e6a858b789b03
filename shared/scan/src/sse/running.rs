//! The text that many events spell out together.

use memchr::memchr2;

/// How much of it is remembered, in bytes: more than any phrase that is looked for needs.
const TAIL: usize = 4 * 1024;

/// The JSON members in which model APIs send the next few characters of an answer, its reasoning or a tool's
/// arguments.
const MEMBERS: &[&[u8]] = &[
    b"text",
    b"content",
    b"delta",
    b"partial_json",
    b"arguments",
    b"thinking",
    b"reasoning",
    b"reasoning_content",
    b"completion",
    b"response",
    b"output",
    b"refusal",
    b"message",
];

/// The end of the text so far.
#[derive(Default)]
pub(super) struct Running(Vec<u8>);

impl Running {
    /// Adds what an event's data contributes; the end of the text so far, empty where that is nothing.
    pub(super) fn add(&mut self, data: &[u8]) -> &[u8] {
        let before = self.0.len();
        match data.first() {
            None => {}
            Some(b'{' | b'[') => members(data, &mut |value| self.0.extend_from_slice(value)),
            Some(_) => self.0.extend_from_slice(data),
        }
        if self.0.len() == before {
            return &[];
        }
        // Twice as much as is kept, so that not every event moves it all.
        if self.0.len() > 2 * TAIL {
            self.0.drain(..self.0.len() - TAIL);
        }
        &self.0[self.0.len().saturating_sub(TAIL)..]
    }
}

/// Gives the string values of [`MEMBERS`] at any depth, as they stand between their quotes. Reads what is not JSON
/// after all without complaint.
fn members(json: &[u8], value: &mut impl FnMut(&[u8])) {
    let mut wanted = false;
    let mut left = json;
    while let Some(opening) = memchr::memchr(b'"', left) {
        // A key's value comes right behind its colon; anything else in between is another value.
        let is_value = wanted && left[..opening].iter().all(|b| b.is_ascii_whitespace() || *b == b':');
        let (string, behind) = string(&left[opening + 1..]);
        if is_value {
            value(string);
            wanted = false;
        } else {
            wanted = behind.trim_ascii_start().starts_with(b":") && MEMBERS.contains(&string);
        }
        left = behind;
    }
}

/// A JSON string from behind its opening quote, and what is behind its closing one.
fn string(from: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(next) = from.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next;
        if from[at] == b'"' {
            return (&from[..at], &from[at + 1..]);
        }
        at += 2;
    }
    (from, &[])
}
