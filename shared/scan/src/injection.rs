//! Instructions to a model hidden in what it reads (E10, `naive_injection_detection`).
//!
//! [`assess`] looks at a text, [`Stream`] at a body of any length in constant memory. Both look for independent kinds
//! of [`Signal`] close together: earlier instructions set aside, borrowed authority, demands to show or send secrets,
//! demands to keep quiet about it, commands. Talk *about* such texts (quoted, introduced, among the words of security
//! writing) weighs little. It is naive: who knows the list can write around it. It costs an attacker the plain words.

mod judge;
mod phrases;
mod plain;
mod stream;
mod veil;

use std::fmt;

pub use stream::{HELD, Stream};

/// How sure it is that a text tries to instruct the model that reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Nothing noteworthy.
    #[default]
    None,
    /// Worth a mark: one clear signal, or several weak ones.
    Medium,
    /// Two or more independent kinds of signal in one place: to be blocked.
    High,
}

/// One kind of signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Earlier instructions shall not count any more.
    Override,
    /// Dressed up as the system, a developer, an administrator, or another turn of the conversation.
    Authority,
    /// Another self without rules.
    Persona,
    /// Spoken to the model and not to its user.
    Address,
    /// Secrets, files or prompts shall be shown or sent.
    Disclosure,
    /// The user shall not know.
    Secrecy,
    /// Something shall be run, deleted or called.
    Command,
    /// What the answer shall say.
    Steering,
    /// It cannot wait.
    Urgency,
    /// Said where no person sees it: comments, invisible elements and characters, encodings.
    Hidden,
}

impl Signal {
    /// Whether it only makes sense towards a model that has a user and instructions already.
    fn is_directed(self) -> bool {
        !matches!(self, Self::Disclosure | Self::Command | Self::Urgency)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Override => "override",
            Self::Authority => "authority",
            Self::Persona => "persona",
            Self::Address => "address",
            Self::Disclosure => "disclosure",
            Self::Secrecy => "secrecy",
            Self::Command => "command",
            Self::Steering => "steering",
            Self::Urgency => "urgency",
            Self::Hidden => "hidden",
        })
    }
}

/// What was found in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// How sure it is.
    pub confidence: Confidence,
    /// The kinds of signal in the place that weighs most, sorted, each once.
    pub signals: Vec<Signal>,
    points: u32,
}

impl Assessment {
    /// Points for [`Confidence::Medium`].
    const MEDIUM: u32 = 8;
    /// Points for [`Confidence::High`], from two kinds of signal at least.
    const HIGH: u32 = 12;

    fn new(points: u32, mut signals: Vec<Signal>) -> Self {
        signals.sort_unstable();
        let confidence = if points >= Self::HIGH && signals.len() >= 2 {
            Confidence::High
        } else if points >= Self::MEDIUM {
            Confidence::Medium
        } else {
            Confidence::None
        };
        Self { confidence, signals, points }
    }

    /// The heavier of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if (other.confidence, other.points) > (self.confidence, self.points) { other } else { self }
    }
}

/// Judges a text: UTF-8, or anything at all. Takes time linear in its length.
#[must_use]
pub fn assess(text: &[u8]) -> Assessment {
    judge::assess(text)
}

#[cfg(test)]
mod tests;
