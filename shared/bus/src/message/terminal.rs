//! A bottle's terminal: what is typed into it, and its size. What the program writes to it is [`super::run::Output`].

use base::id::{ClientId, Slug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Request, Version};

/// The most bytes that one piece of input carries.
pub const INPUT_LIMIT: usize = 8 * 1024;
/// The most rows, and the most columns, that a terminal has.
pub const SIDE_LIMIT: u16 = 2000;
/// The longest name of a kind of terminal.
const TERM_LIMIT: usize = 40;

/// A terminal that a program is started at (L1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// 1 to 2000.
    pub rows: u16,
    /// 1 to 2000.
    pub cols: u16,
    /// Its kind, as in the variable `TERM`: 1 to 40 of A-Z, a-z, 0-9, `.`, `_`, `+` and hyphen.
    pub term: String,
    /// Whether it shows 24-bit colours.
    #[serde(default)]
    pub truecolor: bool,
}

impl Terminal {
    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { rows: self.rows, cols: self.cols }
    }

    /// What is wrong with it, if something is.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        if let Some(flaw) = self.size().flaw() {
            return Some(flaw);
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
        let good = (1..=TERM_LIMIT).contains(&self.term.len()) && self.term.bytes().all(is_plain);
        (!good).then(|| {
            format!(
                "{} is no kind of terminal: 1 to {TERM_LIMIT} letters, digits, dots, underscores, plus signs and hyphens",
                base::inert(&self.term, 60)
            )
        })
    }
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// 1 to 2000.
    pub rows: u16,
    /// 1 to 2000.
    pub cols: u16,
}

impl Size {
    /// What is wrong with it, if something is.
    #[must_use]
    pub fn flaw(self) -> Option<String> {
        let good = |side| (1..=SIDE_LIMIT).contains(&side);
        (!good(self.rows) || !good(self.cols)).then(|| {
            format!("a terminal has 1 to {SIDE_LIMIT} rows and columns, not {} and {}", self.rows, self.cols)
        })
    }
}

/// `bottle.terminal.<bottle>`: what somebody at a terminal does. Answered by the launcher that runs the bottle.
///
/// A client sends one at a time, and sends one that was not answered again: the same sequence is done once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalRequest {
    /// Version of this message.
    #[serde(default)]
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// Who: chosen at random by each that attaches.
    pub client: ClientId,
    /// 0 for the first `attach` of a client, then one more each time.
    pub sequence: u64,
    /// What.
    pub act: TerminalAct,
}

/// What somebody at a terminal does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum TerminalAct {
    /// Joins. The program learns the size, and is made to draw its screen anew.
    Attach {
        /// The size of the client's terminal.
        size: Size,
    },
    /// Types.
    Input {
        /// At most 8 KiB, in base64.
        data: String,
    },
    /// Passes on what the client's terminal answered to a question of the program. It counts for the client that
    /// attached, typed or changed its size last, so that a question has one answer.
    Answer {
        /// At most 8 KiB, in base64.
        data: String,
    },
    /// Has another size now.
    Resize {
        /// The size.
        size: Size,
    },
    /// Leaves.
    Detach,
}

/// The answer to a [`TerminalRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalReply {
    /// Version of this message.
    #[serde(default)]
    pub v: Version<1>,
    /// What became of it.
    pub outcome: TerminalOutcome,
    /// In words, when it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a [`TerminalRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TerminalOutcome {
    /// Done; input is with the program's terminal, in this order.
    Accepted,
    /// The program does not read what is typed. The same request can be made again.
    Busy,
    /// The launcher does not know the client (any more), which may attach again.
    Unknown,
    /// The sequence is not the next one.
    OutOfOrder,
    /// The request cannot be served as it is.
    Invalid,
    /// The bottle was started without a terminal.
    Headless,
    /// The bottle does not run.
    Over,
}

impl Message for TerminalRequest {
    const PATTERN: &'static str = "bottle.terminal.*";

    fn subject(&self) -> String {
        format!("bottle.terminal.{}", self.bottle)
    }
}

impl Request for TerminalRequest {
    type Reply = TerminalReply;
}
