//! What commands at a terminal have in common, and `attach`.

use std::io::IsTerminal as _;

use base::id::Slug;
use bus::message::terminal::Terminal;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::commands::completions;
use crate::terminal::{self, DetachKey};

/// How a person is at a program.
#[derive(Clone, Copy, Debug, Args)]
pub struct AtTerminal {
    /// The key that leaves a bottle running: ctrl- and a letter or one of ] \ ^ _, or none.
    #[arg(long, value_name = "KEY", default_value = "ctrl-]")]
    pub detach_key: DetachKey,
}

impl AtTerminal {
    /// The terminal for an interactive run; nothing where there is none, or when none is wanted.
    #[must_use]
    pub fn here(self, headless: bool) -> Option<Terminal> {
        (!headless && is_here()).then(terminal::here)
    }
}

/// Whether a person sees what is written, and types what is read.
#[must_use]
pub fn is_here() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// `attach`
#[derive(Debug, Args)]
pub struct Attach {
    /// The bottle, as `list` shows it.
    #[arg(add = ArgValueCompleter::new(completions::started))]
    pub bottle: Slug,
    /// The terminal.
    #[command(flatten)]
    pub terminal: AtTerminal,
}
