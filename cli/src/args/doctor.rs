//! `doctor`

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Json;

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The backend that shall work: what it lacks counts as missing. The namespace backend's needs always count.
    #[arg(long, value_parser = PossibleValuesParser::new(["namespace", "docker"]))]
    pub backend: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub json: Json,
}
