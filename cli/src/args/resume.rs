//! `resume`

use base::id::{RequestId, Slug};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use manifest::settings::RuntimeName;

use super::Services;
use super::workspace::Workspace;
use crate::commands::completions;

/// `resume`
#[derive(Debug, Args)]
pub struct Resume {
    /// The bottle that ran the session, as `list --all` shows it.
    #[arg(add = ArgValueCompleter::new(completions::started))]
    pub bottle: Slug,
    /// What the agent is told to do next.
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Its workspace; what was in the former one is not part of a session, and is there again only if it was committed.
    #[command(flatten)]
    pub workspace: Workspace,
    /// Ask nothing and run without a terminal; `--json` reports the result as one object.
    #[arg(long)]
    pub headless: bool,
    /// Do not ask before starting.
    #[arg(short, long)]
    pub yes: bool,
    /// Begin a new session instead, with the same agent and bottles, and without what was committed.
    #[arg(long)]
    pub fresh: bool,
    /// A name for lists, at most 64 printable bytes; the former one unless given.
    #[arg(long, value_name = "TEXT", value_parser = launcher::plan::label)]
    pub label: Option<String>,
    /// The isolation backend; the former one unless given.
    #[arg(long, value_name = "NAME", value_parser = launcher::plan::backend)]
    pub backend: Option<String>,
    /// The container runtime of the backend docker; the former one unless given.
    #[arg(long, value_name = "NAME", value_parser = launcher::plan::runtime)]
    pub runtime: Option<RuntimeName>,
    /// The request's id; the same id twice starts one run.
    #[arg(long, value_name = "ID")]
    pub id: Option<RequestId>,
    /// Print one JSON object at the end instead of the program's output.
    #[arg(long)]
    pub json: bool,
    /// The terminal.
    #[command(flatten)]
    pub terminal: super::terminal::AtTerminal,
    /// Services.
    #[command(flatten)]
    pub services: Services,
}
