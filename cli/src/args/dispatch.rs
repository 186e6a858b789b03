//! `dispatch`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Json;

/// `dispatch ...`
#[derive(Debug, Subcommand)]
pub enum Dispatch {
    /// List the pull requests that are known, and what became of their latest deliveries.
    List(Json),
    /// Say what a delivery would do, and what the agent would be told. Asks nobody and starts nothing.
    Test(Test),
    /// Bring a delivery of the last 7 days once more, as if it came now; who may start agents is asked again.
    Replay {
        /// The delivery's id, as `dispatch list` and the forge show it.
        delivery: String,
    },
}

/// `dispatch test`
#[derive(Debug, Args)]
pub struct Test {
    /// The payload, as the forge shows it under the webhook's deliveries; or an object with its `headers` and `body`.
    pub payload: PathBuf,
    /// The webhook; needed where `dispatch.yaml` has several.
    #[arg(long, value_name = "NAME")]
    pub webhook: Option<String>,
    /// The forge's name of the event's kind, unless the file has headers.
    #[arg(long, value_name = "KIND", default_value = "pull_request")]
    pub event: String,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}
