//! Ways to write a text that hide it from whoever looks at bytes only.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One entry of a zip file, without a directory behind it.
pub(crate) fn zip_entry(name: &str, bytes: &[u8], is_deflated: bool, flags: u16) -> Vec<u8> {
    let data = if is_deflated { deflate(bytes) } else { bytes.to_vec() };
    let mut entry = b"PK\x03\x04".to_vec();
    for short in [20, flags, if is_deflated { 8 } else { 0 }, 0, 0] {
        entry.extend_from_slice(&short.to_le_bytes());
    }
    for long in [0, data.len() as u32, bytes.len() as u32] {
        entry.extend_from_slice(&long.to_le_bytes());
    }
    for short in [name.len() as u16, 0] {
        entry.extend_from_slice(&short.to_le_bytes());
    }
    [entry, name.as_bytes().to_vec(), data].concat()
}

pub(crate) fn utf16(text: &str, is_little: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |part: &[u8]| {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(*part.get(at).unwrap_or(&0)));
        (0..4)
            .map(|at| match at <= part.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]),
                false => '=',
            })
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

pub(crate) fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub(crate) fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}
