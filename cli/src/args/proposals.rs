//! `proposals`

use std::path::PathBuf;

use base::id::{ProposalId, Slug};
use bus::message::proposal;
use clap::{Args, Subcommand};

use super::Json;

/// `proposals`
#[derive(Debug, Subcommand)]
#[command(
    after_help = "The same on a screen: `bot-bottle supervise`. What approvals mean: docs/supervising.md."
)]
pub enum Proposals {
    /// List what waits for an answer, oldest first.
    List(List),
    /// Show one: what is asked for, why, and what an approval would change.
    Show(Show),
    /// Allow what is asked for; returns when the bottle's proxy runs it.
    Approve(Approve),
    /// Refuse it.
    Reject(Reject),
    /// Allow something else instead, in $EDITOR or from a file.
    Edit(Edit),
}

/// `proposals list`
#[derive(Debug, Args)]
pub struct List {
    /// Those that are over, too.
    #[arg(short, long)]
    pub all: bool,
    /// Only this bottle's.
    #[arg(short, long, value_name = "BOTTLE")]
    pub bottle: Option<Slug>,
    /// Go on: a line for each that comes, changes or ends.
    #[arg(short, long)]
    pub watch: bool,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `proposals show`
#[derive(Debug, Args)]
pub struct Show {
    /// The proposal, as `list` shows it.
    pub proposal: ProposalId,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// For how long.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Scope {
    /// The held request, or the one push; for routes until the first request that needed it (the default).
    #[arg(long)]
    pub once: bool,
    /// Until the bottle exits.
    #[arg(long)]
    pub bottle: bool,
    /// Also for later bottles: written beside the bottle's file. Routes only.
    #[arg(long)]
    pub keep: bool,
}

impl From<Scope> for proposal::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope { keep: true, .. } => Self::Keep,
            Scope { bottle: true, .. } => Self::Bottle,
            Scope { .. } => Self::Once,
        }
    }
}

/// What an answer is bound to, beside the proposal.
#[derive(Clone, Copy, Debug, Args)]
pub struct Bound {
    /// The policy revision that you were shown (`revision` in `show --json`); another one refuses the answer. What is current
    /// when the command runs unless given.
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `proposals approve`
#[derive(Debug, Args)]
pub struct Approve {
    /// The proposal.
    pub proposal: ProposalId,
    /// For how long.
    #[command(flatten)]
    pub scope: Scope,
    /// Why. Required where a secret may leave: token-match, gitleaks-allow, workflow-change.
    #[arg(short, long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Bound to what.
    #[command(flatten)]
    pub bound: Bound,
}

/// `proposals reject`
#[derive(Debug, Args)]
pub struct Reject {
    /// The proposal.
    pub proposal: ProposalId,
    /// Why; the agent reads it.
    #[arg(short, long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `proposals edit`
#[derive(Debug, Args)]
pub struct Edit {
    /// The proposal.
    pub proposal: ProposalId,
    /// Read the edit from this file instead of an editor; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Do not ask before it is granted.
    #[arg(short, long)]
    pub yes: bool,
    /// For how long.
    #[command(flatten)]
    pub scope: Scope,
    /// Why.
    #[arg(short, long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Bound to what.
    #[command(flatten)]
    pub bound: Bound,
}
