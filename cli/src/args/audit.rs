//! `audit`

use std::path::PathBuf;

use base::id::Slug;
use bus::message::audit::{Component, Decision};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};

use super::Json;

/// `audit`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Print records. Checkpoints are left out unless `--kind` or `--component trail` asks for them.
    Show(Show),
    /// Say whether every record is there as it was written; if not, which is the first that is not, and end with 1.
    Verify(Verify),
    /// Write the whole trail: the records as they are stored, or as OCSF events.
    Export(Export),
}

/// `audit show`
#[derive(Debug, Args)]
pub struct Show {
    /// Only this bottle's.
    #[arg(short, long, value_name = "BOTTLE")]
    pub bottle: Option<Slug>,
    /// Only what this part decided.
    #[arg(long, value_parser = PossibleValuesParser::new(Component::NAMES))]
    pub component: Option<String>,
    /// Only decisions of this kind; `held` and `redacted` are what was done about a detector's finding.
    #[arg(long, value_parser = PossibleValuesParser::new(Decision::NAMES.into_iter().chain([HELD, REDACTED])))]
    pub kind: Option<String>,
    /// Only what was recorded in the last so many minutes.
    #[arg(long, value_name = "MINUTES", value_parser = super::minutes)]
    pub since: Option<u32>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// Requests that were held for a person, and refused for want of a yes.
pub const HELD: &str = "held";
/// Batches with a request that went out without what a detector had found in it.
pub const REDACTED: &str = "redacted";

/// `audit verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// An export to verify instead of the trail on the bus; nothing needs to run.
    pub file: Option<PathBuf>,
    /// The public key of whoever signed it, in PEM; the home's own unless given.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The export is known to be older than the last checkpoint that was seen on this machine.
    #[arg(long, requires = "file")]
    pub older: bool,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `audit export`
#[derive(Debug, Args)]
pub struct Export {
    /// The form.
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// The file to write, whole or not at all, mode 0600; standard output unless given.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Each record on a line, byte for byte as it is stored: what `audit verify FILE` reads.
    #[default]
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, one a line; each allowed request is one.
    Ocsf,
}
