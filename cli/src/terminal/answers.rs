//! What the operator's terminal answers to a program's questions, told apart from what the operator types. Pure.

const ESC: u8 = 0x1b;

/// A part of what came from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Keys.
    Keys(&'a [u8]),
    /// The terminal's answer to a question.
    Answer(&'a [u8]),
}

/// Cuts what came into keys and answers, of which there are no more than questions were asked. An answer that came in two
/// pieces passes for keys, which does no harm.
pub(super) fn parts(mut bytes: &[u8], mut asked: usize) -> Vec<Part<'_>> {
    let (mut parts, mut keys) = (Vec::new(), 0);
    while keys < bytes.len() {
        let length = if asked > 0 { answer(&bytes[keys..]) } else { None };
        let Some(length) = length else {
            keys += 1;
            continue;
        };
        if keys > 0 {
            parts.push(Part::Keys(&bytes[..keys]));
        }
        parts.push(Part::Answer(&bytes[keys..keys + length]));
        bytes = &bytes[keys + length..];
        keys = 0;
        asked -= 1;
    }
    if !bytes.is_empty() {
        parts.push(Part::Keys(bytes));
    }
    parts
}

/// The length of the answer that these bytes begin with.
fn answer(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [ESC, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let (held, last) = (&rest[..end], rest[end]);
            let is_answer = match (held, last) {
                ([b'?' | b'>', ..], b'c') | ([b'?', .., b'$'], b'y') | ([b'?', ..], b'u' | b'R') => true,
                (b"0" | b"3" | b"?997;1" | b"?997;2", b'n') => true,
                ([b'0'..=b'9', ..], b'R') => held.contains(&b';'),
                ([b'4' | b'6' | b'8', b';', ..], b't') => true,
                _ => false,
            };
            is_answer.then_some(end + 3)
        }
        [ESC, b']', b'1', b'0'..=b'2', b';', rest @ ..] => {
            let end = rest.iter().position(|byte| matches!(*byte, 0x07 | ESC))?;
            match rest[end..] {
                [0x07, ..] => Some(end + 6),
                [ESC, b'\\', ..] => Some(end + 7),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_keys() {
        let all: [&[u8]; 9] = [
            b"\x1b[?62;22c",
            b"\x1b[>1;10;0c",
            b"\x1b[12;34R",
            b"\x1b[?12;34R",
            b"\x1b[0n",
            b"\x1b[?2026;2$y",
            b"\x1b[?1u",
            b"\x1b[8;24;80t",
            b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        ];
        for answer in all {
            let typed = [b"ab", answer, b"\x1b[A"].concat();
            let expected = [Part::Keys(b"ab"), Part::Answer(answer), Part::Keys(b"\x1b[A")];
            assert_eq!(parts(&typed, 1), expected, "{answer:?}");
            assert_eq!(parts(&typed, 0), [Part::Keys(&typed)]);
        }
        for keys in
            [b"\x1b".as_slice(), b"\x1b[", b"\x1b[13;2u", b"\x1b[<0;1;2M", b"\x1b[200~x\x1b[201~", b"\x1bOP"]
        {
            assert_eq!(parts(keys, 9), [Part::Keys(keys)], "{keys:?}");
        }
    }
}
