//! RFC 4648 sections 4 and 5, both alphabets at once, with padding or without, wrapped in lines or not.
//!
//! A run need not start where the encoding did (`prefix-` and `/path/` are in the alphabet, too), so every run is
//! decoded from each of its first four characters: one of the four is in step.

use std::ops::Range;

use super::{Codec, Sink};
use crate::classes::Mask;
use crate::view::{Parts, View};

/// Characters that make a run: 12 bytes.
const MIN: u32 = 16;

const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        values[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};

/// The values moved to their place in a group of four characters.
const PLACED: [[u32; 256]; 4] = {
    let mut placed = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut place = 0;
        while place < 4 {
            placed[place][byte] = (VALUES[byte] as u32) << (18 - 6 * place);
            place += 1;
        }
        byte += 1;
    }
    placed
};

/// Decodes every run that could be base64.
pub(super) fn views(text: &[u8], mask: &Mask, view: &mut View, printable: &mut Mask) {
    let mut done = 0;
    let mut lines = Vec::new();
    for run in mask.runs::<MIN>() {
        if run.start < done {
            continue;
        }
        find_lines(text, mask, run, &mut lines);
        done = lines.last().map_or(done, |last| last.end);
        if !lines.iter().any(|line| is_mixed(&text[line.clone()])) {
            continue;
        }
        for skip in 0..4 {
            let parts = match lines.as_slice() {
                [one] => Parts::One(one.clone()),
                many => Parts::Many(many.to_vec()),
            };
            view.add_printable(text, Codec::Base64(skip), parts, printable);
        }
    }
}

/// Letters of both cases: text of 12 bytes or more has them in base64, names of files and functions mostly do not.
fn is_mixed(run: &[u8]) -> bool {
    let is = |byte: &u8, first: u8| byte.wrapping_sub(first) < 26;
    // Every byte is looked at, many at once.
    let cases =
        run.iter().fold(0, |cases, byte| cases | u8::from(is(byte, b'A')) | u8::from(is(byte, b'a')) << 1);
    cases == 3
}

/// The run, and the lines that go on from it.
fn find_lines(text: &[u8], mask: &Mask, run: Range<usize>, lines: &mut Vec<Range<usize>>) {
    lines.clear();
    let mut line = run;
    while !line.is_empty() {
        lines.push(line.clone());
        let Some(gap) = line_end(&text[line.end..]) else { break };
        line = mask.run_from(line.end + gap);
    }
}

/// The length of a line end, also of one that is escaped as in a JSON string, or unfolded as in a header.
fn line_end(text: &[u8]) -> Option<usize> {
    let ends = [&b"\r\n "[..], b"\r\n", b"\n ", b"\n", b"\\r\\n", b"\\n", b"  "];
    ends.iter().find(|end| text.starts_with(end)).map(|end| end.len())
}

pub(super) fn decode<S: Sink>(text: &[u8], parts: &[Range<usize>], skip: u8, out: &mut S) {
    if let [one] = parts {
        let start = (one.start + usize::from(skip)).min(one.end);
        return groups(&text[start..one.end], |offset| start + offset, out);
    }
    let places: Vec<usize> = parts.iter().cloned().flatten().skip(skip.into()).collect();
    let characters: Vec<u8> = places.iter().map(|at| text[*at]).collect();
    groups(&characters, |offset| places[offset], out);
}

fn groups<S: Sink>(characters: &[u8], place: impl Fn(usize) -> usize, out: &mut S) {
    let (fours, rest) = characters.as_chunks::<4>();
    let from = |group: usize| [0, 1, 2].map(|nth| place(4 * group + nth)..place(4 * group + nth + 1) + 1);
    out.put_threes(
        fours.iter().map(|four| {
            let [_, three @ ..] = bits(four).to_be_bytes();
            three
        }),
        from,
    );
    let at = 4 * fours.len();
    let [_, first, second, _] = bits(rest).to_be_bytes();
    if rest.len() >= 2 {
        out.put(first, place(at)..place(at + 1) + 1);
    }
    if rest.len() == 3 {
        out.put(second, place(at + 1)..place(at + 2) + 1);
    }
}

#[inline]
fn bits(characters: &[u8]) -> u32 {
    characters.iter().zip(&PLACED).fold(0, |bits, (byte, placed)| bits | placed[usize::from(*byte)])
}
