//! `grants`

use base::id::{BottleName, ProposalId};
use clap::{Args, Subcommand};

use super::Json;

/// `grants`; without a word of its own it lists.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Grants {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<GrantsCommand>,
    /// What to list.
    #[command(flatten)]
    pub list: List,
}

/// `grants ...`
#[derive(Debug, Subcommand)]
pub enum GrantsCommand {
    /// List what was granted for good, and beside which bottle.
    List(List),
    /// Take a grant back. Bottles that run keep it until they exit.
    Revoke {
        /// The bottle whose file it stands beside.
        bottle: BottleName,
        /// The grant, by its proposal, as `list` shows it.
        proposal: ProposalId,
    },
}

/// `grants list`
#[derive(Debug, Args)]
pub struct List {
    /// Only this bottle's.
    #[arg(short, long, value_name = "NAME")]
    pub bottle: Option<BottleName>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}
