//! The values of fields, one after another: a secret may come in two halves.

use std::ops::Range;

use memchr::memmem;

use super::Codec;
use crate::view::{Parts, View};

/// How a text is divided into fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// It is not.
    #[default]
    Plain,
    /// `name=value&name=value`: a query, or an HTML form.
    Form,
    /// multipart bodies (RFC 2046 section 5.1), divided by this boundary.
    Multipart(Vec<u8>),
}

/// What is kept of each end of a long value: the middle of it is scanned in its place.
const END: usize = 1024;

/// Puts the values of all fields into one piece.
pub(super) fn views(text: &[u8], shape: &Shape, view: &mut View) {
    let values = match shape {
        Shape::Plain => return,
        Shape::Form => form(text),
        Shape::Multipart(boundary) => multipart(text, boundary),
    };
    if values.len() > 1 {
        view.add(text, Codec::Fields, Parts::Many(values.into_iter().flat_map(ends).collect()));
    }
}

fn ends(value: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_long = value.len() > 2 * END;
    let first = if is_long { value.start..value.start + END } else { value.clone() };
    let last = is_long.then(|| value.end - END..value.end);
    std::iter::once(first).chain(last)
}

fn form(text: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut values = Vec::new();
    for field in text.split(|byte| *byte == b'&') {
        if let Some(equals) = memchr::memchr(b'=', field) {
            values.push(start + equals + 1..start + field.len());
        }
        start += field.len() + 1;
    }
    values
}

/// The bodies of the parts. What stands before the first boundary belongs to a part that began earlier.
fn multipart(text: &[u8], boundary: &[u8]) -> Vec<Range<usize>> {
    let delimiter = [b"--", boundary].concat();
    let mut values = Vec::new();
    let mut body = 0;
    for at in memmem::find_iter(text, &delimiter) {
        let end =
            at - text[..at].iter().rev().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        values.push(body.min(end)..end);
        let headers = at + delimiter.len();
        body = memmem::find(&text[headers..], b"\r\n\r\n").map_or(text.len(), |blank| headers + blank + 4);
    }
    values.push(body.min(text.len())..text.len());
    values.retain(|value| !value.is_empty());
    values
}
