//! Which control sequences pass. Everything that is not listed here does not.

/// What becomes of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It draws.
    Pass,
    /// It asks, and the answer is numbers only.
    Question,
    /// It sets or resets those of its private modes.
    Modes(Vec<u16>),
    /// It asks, and this program answers.
    Answer(&'static [u8]),
    /// It is none of the program's business.
    Drop,
}

/// The private modes that a program may set and reset; all of them are reset at the end.
///
/// Keys of the cursor and the keypad, reverse video, origin, wrapping, blinking, the cursor's visibility; the mouse and its
/// encodings, focus, the other screen, bracketed paste, drawing at once, graphemes, news of colours and size.
const MODES: &[u16] = &[
    1, 5, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1047, 1048,
    1049, 2004, 2026, 2027, 2031, 2048,
];
/// What questions for the kind of terminal are answered with.
const NAME: &[u8] = concat!("\x1bP>|bot-bottle ", env!("CARGO_PKG_VERSION"), "\x1b\\").as_bytes();
/// The most digits of a parameter.
const DIGITS: usize = 5;

/// ESC, intermediates, and a last byte.
pub(super) fn escape(intermediates: &[u8], last: u8) -> Verdict {
    let pass = match intermediates {
        // Saving and restoring the cursor, keypad modes, line feeds and tabs, a reset.
        [] => matches!(last, b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M' | b'c'),
        // A character set into one of four places. `%`, which changes the coding, is not among them.
        [b'(' | b')' | b'*' | b'+'] => matches!(last, b'0' | b'A' | b'B' | b'1' | b'2' | b'<' | b'>'),
        [b'#'] => last == b'8',
        _ => false,
    };
    if pass { Verdict::Pass } else { Verdict::Drop }
}

/// A control sequence: what is between CSI and the last byte, and that.
pub(super) fn csi(held: &[u8], last: u8) -> Verdict {
    let prefix = held.first().copied().filter(|byte| (0x3c..=0x3f).contains(byte));
    let rest = &held[usize::from(prefix.is_some())..];
    let split = rest.iter().position(|byte| (0x20..=0x2f).contains(byte)).unwrap_or(rest.len());
    let (parameters, intermediates) = rest.split_at(split);
    let digits = parameters.split(|byte| matches!(byte, b';' | b':'));
    let are_plain = parameters.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'));
    if !are_plain || digits.clone().any(|digits| digits.len() > DIGITS) {
        return Verdict::Drop;
    }
    match (prefix, intermediates) {
        (None, []) => plain(parameters, last),
        (Some(b'?'), []) => private(parameters, last),
        (Some(b'?'), b"$") if last == b'p' => Verdict::Question,
        (Some(b'>'), []) => secondary(parameters, last),
        (Some(b'<' | b'='), []) if last == b'u' => Verdict::Pass,
        // The cursor's shape; protection of characters; a soft reset.
        (None, b" ") if last == b'q' => Verdict::Pass,
        (None, b"\"") if last == b'q' => Verdict::Pass,
        (None, b"!") if last == b'p' => Verdict::Pass,
        _ => Verdict::Drop,
    }
}

fn plain(parameters: &[u8], last: u8) -> Verdict {
    match last {
        b'@'
        | b'A'..=b'M'
        | b'P'
        | b'S'
        | b'X'
        | b'Z'
        | b'`'
        | b'a'
        | b'b'
        | b'd'..=b'g'
        | b'm'
        | b'r'
        | b's'
        | b'u' => Verdict::Pass,
        // With more parameters it has the mouse tracked, and the terminal waits.
        b'T' if !parameters.contains(&b';') => Verdict::Pass,
        // Inserting, and line feeds. Locking the keyboard and hiding what is typed are not among them.
        b'h' | b'l' if matches!(parameters, b"4" | b"20") => Verdict::Pass,
        b'c' if matches!(parameters, b"" | b"0") => Verdict::Question,
        b'n' if matches!(parameters, b"5" | b"6") => Verdict::Question,
        // Sizes. The title is asked for in the same way, and is not among them.
        b't' if matches!(parameters, b"14" | b"16" | b"18") => Verdict::Question,
        _ => Verdict::Drop,
    }
}

fn private(parameters: &[u8], last: u8) -> Verdict {
    match last {
        b'h' | b'l' => {
            let numbers =
                parameters.split(|byte| *byte == b';').filter_map(|digits| str::from_utf8(digits).ok());
            let modes = numbers.filter_map(|digits| digits.parse().ok()).filter(|mode| MODES.contains(mode));
            Verdict::Modes(modes.collect())
        }
        b'J' | b'K' => Verdict::Pass,
        b'u' if parameters.is_empty() => Verdict::Question,
        b'n' if matches!(parameters, b"6" | b"996") => Verdict::Question,
        _ => Verdict::Drop,
    }
}

fn secondary(parameters: &[u8], last: u8) -> Verdict {
    match last {
        b'c' if matches!(parameters, b"" | b"0") => Verdict::Question,
        b'q' if matches!(parameters, b"" | b"0") => Verdict::Answer(NAME),
        // How keys with modifiers are told: xterm's way, and the newer one's.
        b'm' if parameters.starts_with(b"4") => Verdict::Pass,
        b'u' => Verdict::Pass,
        _ => Verdict::Drop,
    }
}

/// An operating system command: only the question for a colour, whose answer is one.
pub(super) fn osc(held: &[u8]) -> Verdict {
    if matches!(held, b"10;?" | b"11;?" | b"12;?") { Verdict::Question } else { Verdict::Drop }
}
