//! `edit` and `completions`

use base::id::AgentName;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use crate::commands::completions;

/// `edit`
#[derive(Debug, Args)]
pub struct Edit {
    /// The agent, or with `--bottle` the bottle, by the name of its file.
    #[arg(add = ArgValueCompleter::new(completions::manifests))]
    pub name: AgentName,
    /// A bottle's file, not an agent's.
    #[arg(long)]
    pub bottle: bool,
    /// Make a new one.
    #[arg(long)]
    pub new: bool,
}

/// `completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: CompletedShell,
}

/// The shells that can be told.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CompletedShell {
    /// bash
    Bash,
    /// elvish
    Elvish,
    /// fish
    Fish,
    /// powershell
    Powershell,
    /// zsh
    Zsh,
}
