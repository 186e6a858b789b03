//! Where in a request a value can stand, written as clients write it.

use std::ops::Range;

use scan::Shape;

use crate::rng::{LOWER, Rng};

/// A place for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `?name=value`.
    Query,
    /// A header line.
    Header,
    /// One cookie of several.
    Cookie,
    /// A string in a JSON body.
    Json,
    /// A field of an HTML form.
    Form,
    /// A part of a multipart body.
    Multipart,
    /// Text without form.
    Plain,
}

/// Every place.
pub const ALL: &[Surface] = &[
    Surface::Query,
    Surface::Header,
    Surface::Cookie,
    Surface::Json,
    Surface::Form,
    Surface::Multipart,
    Surface::Plain,
];

/// A text as the scanner gets it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The bytes.
    pub text: Vec<u8>,
    /// How they are divided.
    pub shape: Shape,
    /// Where the value stands.
    pub value: Range<usize>,
}

const BOUNDARY: &str = "----form7d21c0";

impl Surface {
    /// What the report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Json => "JSON",
            Self::Form => "form",
            Self::Multipart => "multipart",
            Self::Plain => "text",
        }
    }

    /// Whether any byte may stand there.
    #[must_use]
    pub fn takes_bytes(self) -> bool {
        matches!(self, Self::Multipart | Self::Plain)
    }

    /// `name` with `value`, the value written as the place demands it.
    #[must_use]
    pub fn put(self, rng: &mut Rng, name: &str, value: &[u8]) -> Sample {
        let filler = rng.text(LOWER, 6);
        let (before, value, after, shape) = match self {
            Self::Query => (
                format!("/v1/{filler}?page=2&{name}="),
                component(value),
                "&sort=asc".to_owned(),
                Shape::Form,
            ),
            Self::Form => {
                (format!("title={filler}&{name}="), component(value), "&submit=Send".to_owned(), Shape::Form)
            }
            Self::Header => {
                let name = name.replace('_', "-").to_ascii_lowercase();
                (format!("x-{name}: "), one_line(value), String::new(), Shape::Plain)
            }
            Self::Cookie => {
                (format!("theme=dark; {name}="), cookie(value), format!("; visit={filler}"), Shape::Plain)
            }
            Self::Json => (
                format!("{{\"id\":\"{filler}\",\"{name}\":\""),
                json(value),
                "\",\"n\":3}".to_owned(),
                Shape::Plain,
            ),
            Self::Multipart => {
                let part = |name: &str| {
                    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n")
                };
                let before = format!("{}{filler}\r\n{}", part("title"), part(name));
                (before, value.to_vec(), format!("\r\n--{BOUNDARY}--\r\n"), Shape::Multipart(BOUNDARY.into()))
            }
            Self::Plain => (
                format!("Note {filler}\n{name}: "),
                value.to_vec(),
                "\nThat is all.\n".to_owned(),
                Shape::Plain,
            ),
        };
        let start = before.len();
        let end = start + value.len();
        Sample { text: [before.as_bytes(), &value, after.as_bytes()].concat(), shape, value: start..end }
    }
}

/// A value in two fields of a form, or in two parts.
#[must_use]
pub fn split(rng: &mut Rng, surface: Surface, value: &str) -> Sample {
    let cut = rng.between(value.len() / 3, value.len() * 2 / 3);
    let (first, second) = value.as_bytes().split_at(cut);
    let (between, first, second, shape) = match surface {
        Surface::Multipart => {
            let between = format!("\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n");
            (between, first.to_vec(), second.to_vec(), Shape::Multipart(BOUNDARY.into()))
        }
        _ => ("&b=".to_owned(), component(first), component(second), Shape::Form),
    };
    let head = match surface {
        Surface::Multipart => format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"),
        _ => "a=".to_owned(),
    };
    let tail =
        if surface == Surface::Multipart { format!("\r\n--{BOUNDARY}--\r\n") } else { "&c=1".to_owned() };
    let text = [head.as_bytes(), &first, between.as_bytes(), &second, tail.as_bytes()].concat();
    let value = head.len()..text.len() - tail.len();
    Sample { text, shape, value }
}

/// What `encodeURIComponent` does.
fn component(value: &[u8]) -> Vec<u8> {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    value
        .iter()
        .flat_map(|byte| if kept(*byte) { vec![*byte] } else { format!("%{byte:02X}").into_bytes() })
        .collect()
}

fn cookie(value: &[u8]) -> Vec<u8> {
    let taken = |byte: u8| byte <= b' ' || b";,\"\\".contains(&byte) || byte > b'~';
    value
        .iter()
        .flat_map(|byte| if taken(*byte) { format!("%{byte:02X}").into_bytes() } else { vec![*byte] })
        .collect()
}

/// A header has no line breaks; who puts a key there folds them away.
fn one_line(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

fn json(value: &[u8]) -> Vec<u8> {
    let quoted = serde_json::Value::String(String::from_utf8_lossy(value).into_owned()).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}
