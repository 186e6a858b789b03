//! What a program has brought the terminal into: undone when the terminal is given back, and done again for whoever
//! attaches later. Pure.

use std::collections::BTreeSet;
use std::io::Write as _;

/// The modes that are on unless somebody turns them off.
const ON: [u16; 2] = [7, 25];
/// Those that change to the other screen and back.
const SCREENS: [u16; 3] = [47, 1047, 1049];
/// As many keyboard settings as terminals keep.
const DEEPEST: usize = 32;

/// The modes of a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Private modes that are not as they were at first.
    changed: BTreeSet<u16>,
    /// Keyboard settings that were put on the terminal's stacks, of which each screen has one.
    keyboards: [Vec<Vec<u8>>; 2],
    /// The keypad sends sequences.
    keypad: bool,
    /// Keys with modifiers are told in xterm's way.
    modified: bool,
    /// Characters are inserted.
    inserts: bool,
}

impl Modes {
    /// Notes an escape sequence.
    pub(super) fn escape(&mut self, intermediates: &[u8], last: u8) {
        match (intermediates, last) {
            ([], b'=') => self.keypad = true,
            ([], b'>') => self.keypad = false,
            ([], b'c') => *self = Self::default(),
            _ => {}
        }
    }

    /// Notes a control sequence. Returns whether it is to pass: what others put on the keyboard's stack stays there.
    pub(super) fn csi(&mut self, held: &[u8], last: u8) -> bool {
        match (held, last) {
            ([b'?', digits @ ..], b'h' | b'l') => self.set(digits, last == b'h'),
            ([b'>', flags @ ..], b'u') => return self.put(flags),
            ([b'=', flags @ ..], b'u') => self.replace(flags),
            ([b'<', digits @ ..], b'u') => return self.pop(digits),
            ([b'>', rest @ ..], b'm') => self.modified = rest.contains(&b';'),
            (b"4", b'h') => self.inserts = true,
            (b"4", b'l') => self.inserts = false,
            _ => {}
        }
        true
    }

    fn set(&mut self, digits: &[u8], on: bool) {
        let Some(mode) = str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok()) else {
            return;
        };
        // Only remembers a place.
        if mode == 1048 {
            return;
        }
        if on == ON.contains(&mode) {
            self.changed.remove(&mode);
        } else {
            self.changed.insert(mode);
        }
    }

    fn pop(&mut self, digits: &[u8]) -> bool {
        let count = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(1_usize);
        let there = self.keyboard();
        let fits = count <= there.len();
        if fits {
            there.truncate(there.len() - count);
        }
        fits
    }

    fn put(&mut self, flags: &[u8]) -> bool {
        let there = self.keyboard();
        let fits = there.len() < DEEPEST;
        if fits {
            there.push(flags.to_vec());
        }
        fits
    }

    fn replace(&mut self, flags: &[u8]) {
        if let Some(top) = self.keyboard().last_mut() {
            *top = flags.split(|byte| *byte == b';').next().unwrap_or_default().to_vec();
        }
    }

    /// The stack of the screen that is shown.
    fn keyboard(&mut self) -> &mut Vec<Vec<u8>> {
        let screen = usize::from(self.is_full_screen());
        &mut self.keyboards[screen]
    }

    /// Brings a terminal into them.
    #[must_use]
    pub fn enter(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Before the rest, which counts for the screen that is shown.
        let (screens, others): (Vec<u16>, Vec<u16>) =
            self.changed.iter().partition(|mode| SCREENS.contains(mode));
        let put = |bytes: &mut Vec<u8>, screen: usize| {
            for flags in &self.keyboards[screen] {
                bytes.extend_from_slice(&[b"\x1b[>", flags.as_slice(), b"u"].concat());
            }
        };
        put(&mut bytes, 0);
        for mode in screens.into_iter().chain(others) {
            // Writing to a Vec cannot fail.
            let _ = write!(bytes, "\x1b[?{mode}{}", if ON.contains(&mode) { 'l' } else { 'h' });
        }
        if self.is_full_screen() {
            put(&mut bytes, 1);
        }
        if self.keypad {
            bytes.extend_from_slice(b"\x1b=");
        }
        bytes
    }

    /// Brings a terminal out of them, and out of whatever else the program may have chosen for its text.
    #[must_use]
    pub fn leave(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pop = |bytes: &mut Vec<u8>, screen: usize| {
            let deep = self.keyboards[screen].len();
            if deep > 0 {
                let _ = write!(bytes, "\x1b[<{deep}u");
            }
        };
        if self.is_full_screen() {
            pop(&mut bytes, 1);
        }
        if self.modified {
            bytes.extend_from_slice(b"\x1b[>4m");
        }
        let (screens, others): (Vec<u16>, Vec<u16>) =
            self.changed.iter().partition(|mode| SCREENS.contains(mode));
        for mode in others.into_iter().chain(screens) {
            let _ = write!(bytes, "\x1b[?{mode}{}", if ON.contains(&mode) { 'h' } else { 'l' });
        }
        pop(&mut bytes, 0);
        if self.inserts {
            bytes.extend_from_slice(b"\x1b[4l");
        }
        // The keypad, the character set, colours, the whole screen scrolls; the cursor stays, in its usual shape.
        bytes.extend_from_slice(b"\x1b>\x0f\x1b(B\x1b[m\x1b7\x1b[r\x1b8\x1b[ q");
        bytes
    }

    /// Whether the program draws on the other screen.
    #[must_use]
    pub fn is_full_screen(&self) -> bool {
        SCREENS.iter().any(|mode| self.changed.contains(mode))
    }
}
