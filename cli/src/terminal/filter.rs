//! What a program in a bottle may say to the operator's own terminal (invariant 8). Pure.
//!
//! A full-screen program needs the terminal's language, and much of that language is none of its business: writing the
//! clipboard, reading files as pictures, changing the title, and questions whose answer holds a text of the asker's choice
//! and arrives as typed keys. So this knows the sequences that draw, and lets nothing else pass: `docs/terminal.md` lists
//! both. It works byte by byte and keeps at most [`LONGEST`] bytes.

use super::modes::Modes;
use super::sequence::{Verdict, csi, escape, osc};

/// A sequence that is longer is dropped.
pub const LONGEST: usize = 256;
/// Stands for what is no UTF-8: a terminal could take such bytes for control characters.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// Reads a program's output, and writes what the terminal may get.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    state: State,
    /// The sequence or character so far.
    held: Vec<u8>,
    /// What the terminal was brought into, which is undone at the end.
    pub modes: Modes,
    /// Questions that were passed on, and may be answered.
    questions: usize,
    /// What this program answers instead of the terminal.
    answers: Vec<u8>,
    is_past: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// In a character of several bytes, of which so many are missing.
    Character(usize),
    /// After ESC, and any intermediate bytes.
    Escape,
    Csi,
    Osc,
    /// In an OSC, after an ESC that may begin its end.
    OscEnd,
    /// In a sequence of text that does not pass: DCS, SOS, PM, APC, or an OSC that is too long.
    Skipped {
        /// Whether a bell ends it.
        bell: bool,
    },
    /// In it, after an ESC that may begin its end.
    SkippedEnd,
    /// In a CSI that is too long.
    Overlong,
}

impl Filter {
    /// For what was shown before: nobody is asked again, and keyboard settings are only noted.
    #[must_use]
    pub fn of_the_past() -> Self {
        Self { is_past: true, ..Self::default() }
    }

    /// Goes on with what is shown now. Nobody waits for answers to questions of the past.
    #[must_use]
    pub fn in_the_present(self) -> Self {
        Self { is_past: false, answers: Vec::new(), ..self }
    }

    /// Takes the next bytes of the program; appends what passes.
    pub fn push(&mut self, bytes: &[u8], passed: &mut Vec<u8>) {
        bytes.iter().for_each(|&byte| self.byte(byte, passed));
    }

    /// How many questions passed since the last call.
    pub fn questions(&mut self) -> usize {
        std::mem::take(&mut self.questions)
    }

    /// What is to be typed for the terminal.
    pub fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    fn byte(&mut self, byte: u8, passed: &mut Vec<u8>) {
        match self.state {
            State::Text => self.text(byte, passed),
            State::Character(missing) => self.character(byte, missing, passed),
            // These end any sequence, and begin another one or none.
            _ if matches!(byte, CAN | SUB) => self.restart(),
            State::Osc if byte == BEL => self.finish_osc(passed),
            State::Osc if byte == ESC => self.state = State::OscEnd,
            State::Skipped { bell: true } if byte == BEL => self.restart(),
            State::Skipped { .. } if byte == ESC => self.state = State::SkippedEnd,
            State::OscEnd if byte == b'\\' => self.finish_osc(passed),
            State::SkippedEnd if byte == b'\\' => self.restart(),
            State::OscEnd | State::SkippedEnd => {
                self.begin_escape();
                self.escape(byte, passed);
            }
            _ if byte == ESC => self.begin_escape(),
            State::Escape => self.escape(byte, passed),
            State::Csi => self.csi(byte, passed),
            State::Overlong => {
                if (0x40..=0x7e).contains(&byte) {
                    self.restart();
                }
            }
            State::Osc => self.hold(byte, State::Skipped { bell: true }),
            State::Skipped { .. } => {}
        }
    }

    fn restart(&mut self) {
        self.state = State::Text;
        self.held.clear();
    }

    fn begin_escape(&mut self) {
        self.state = State::Escape;
        self.held.clear();
    }

    /// Keeps a byte of a sequence, or goes to where an overlong one ends.
    fn hold(&mut self, byte: u8, overlong: State) {
        if self.held.len() == LONGEST {
            self.held.clear();
            self.state = overlong;
        } else {
            self.held.push(byte);
        }
    }

    fn text(&mut self, byte: u8, passed: &mut Vec<u8>) {
        let missing = match byte {
            ESC => return self.begin_escape(),
            // Bell, backspace, tab, line ends, and the two shifts between character sets.
            0x07..=0x0f | 0x20..=0x7e => return passed.push(byte),
            0x00..=0x1f | 0x7f => return,
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => return passed.extend_from_slice(REPLACEMENT),
        };
        self.held.clear();
        self.held.push(byte);
        self.state = State::Character(missing);
    }

    fn character(&mut self, byte: u8, missing: usize, passed: &mut Vec<u8>) {
        if !(0x80..=0xbf).contains(&byte) {
            self.restart();
            passed.extend_from_slice(REPLACEMENT);
            return self.text(byte, passed);
        }
        self.held.push(byte);
        if missing > 1 {
            self.state = State::Character(missing - 1);
            return;
        }
        match std::str::from_utf8(&self.held) {
            // As characters, too, the second half of the control characters is what begins sequences.
            Ok(text) if text.chars().all(|c| !c.is_control()) => passed.extend_from_slice(&self.held),
            Ok(_) => {}
            Err(_) => passed.extend_from_slice(REPLACEMENT),
        }
        self.restart();
    }

    fn escape(&mut self, byte: u8, passed: &mut Vec<u8>) {
        match byte {
            b'[' if self.held.is_empty() => self.state = State::Csi,
            b']' if self.held.is_empty() => self.state = State::Osc,
            b'P' | b'X' | b'^' | b'_' if self.held.is_empty() => self.state = State::Skipped { bell: false },
            0x20..=0x2f => self.hold(byte, State::Overlong),
            0x30..=0x7e => {
                let held = std::mem::take(&mut self.held);
                self.state = State::Text;
                if let Verdict::Pass = escape(&held, byte) {
                    self.modes.escape(&held, byte);
                    passed.push(ESC);
                    passed.extend_from_slice(&held);
                    passed.push(byte);
                }
            }
            // A control character within a sequence does what it does.
            0x07..=0x0f => passed.push(byte),
            0x00..=0x1f | 0x7f => {}
            _ => {
                self.restart();
                self.text(byte, passed);
            }
        }
    }

    fn csi(&mut self, byte: u8, passed: &mut Vec<u8>) {
        match byte {
            0x20..=0x3f => self.hold(byte, State::Overlong),
            0x40..=0x7e => {
                let held = std::mem::take(&mut self.held);
                self.state = State::Text;
                self.judge(&held, byte, passed);
            }
            0x07..=0x0f => passed.push(byte),
            0x00..=0x1f | 0x7f => {}
            _ => {
                self.restart();
                self.text(byte, passed);
            }
        }
    }

    fn judge(&mut self, held: &[u8], last: u8, passed: &mut Vec<u8>) {
        match csi(held, last) {
            Verdict::Drop => {}
            Verdict::Answer(text) => self.answers.extend_from_slice(text),
            Verdict::Pass => self.pass_csi(held, last, passed),
            Verdict::Question if self.is_past => {}
            Verdict::Question => {
                self.questions += 1;
                self.pass_csi(held, last, passed);
            }
            // Each for itself: one that may not be set does not take the others with it.
            Verdict::Modes(modes) => {
                for mode in modes {
                    let mode = [b"?".as_slice(), mode.to_string().as_bytes()].concat();
                    self.pass_csi(&mode, last, passed);
                }
            }
        }
    }

    fn pass_csi(&mut self, held: &[u8], last: u8, passed: &mut Vec<u8>) {
        let is_keyboard = last == b'u' && matches!(held, [b'<' | b'=' | b'>', ..]);
        if self.modes.csi(held, last) && !(is_keyboard && self.is_past) {
            passed.extend_from_slice(b"\x1b[");
            passed.extend_from_slice(held);
            passed.push(last);
        }
    }

    fn finish_osc(&mut self, passed: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.state = State::Text;
        if osc(&held) == Verdict::Question && !self.is_past {
            self.questions += 1;
            passed.extend_from_slice(b"\x1b]");
            passed.extend_from_slice(&held);
            passed.extend_from_slice(b"\x1b\\");
        }
    }
}
