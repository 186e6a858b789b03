//! UTF-16 text in either byte order (RFC 2781), as far as it is ASCII.

use std::ops::Range;

use super::Sink;

/// Characters that make a run.
const MIN: usize = 8;

/// Runs in which every second byte is 0, from their first character on.
pub(super) fn regions(text: &[u8]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut from = 0;
    while let Some(zero) = memchr::memchr(0, &text[from..]).map(|at| from + at) {
        let end = end_of_run(text, zero);
        if (end - zero) / 2 >= MIN {
            // In little-endian order the first character stands before its zero.
            let start = if zero > from && text[zero - 1] != 0 { zero - 1 } else { zero };
            runs.push(start..end);
        }
        from = end.max(zero + 1);
    }
    runs
}

/// Where zeros two bytes apart, with something else between them, end.
fn end_of_run(text: &[u8], zero: usize) -> usize {
    let mut end = zero + 1;
    while text.get(end).is_some_and(|byte| *byte != 0) {
        end += 1;
        if text.get(end) != Some(&0) {
            break;
        }
        end += 1;
    }
    end
}

pub(super) fn decode(text: &[u8], part: Range<usize>, out: &mut impl Sink) {
    for at in part {
        if text[at] != 0 {
            out.put(text[at], at..at + 1);
        }
    }
}
