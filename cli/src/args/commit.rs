//! `commit`

use std::path::PathBuf;

use base::id::Slug;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::Json;
use crate::commands::completions;

/// `commit`
#[derive(Debug, Args)]
pub struct Commit {
    /// The bottle, as `list` shows it; the only one that runs, or picked from a list, unless given.
    #[arg(add = ArgValueCompleter::new(completions::started))]
    pub bottle: Option<Slug>,
    /// Also write the archive to this new file, a tar stream compressed with zstd; of a bottle that is over, its last commit.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}
