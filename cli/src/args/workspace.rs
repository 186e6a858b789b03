//! What is in the workspace of a bottle that is started (L9).

use clap::Args;
use launcher::workspace::Reference;

/// Where the workspace comes from; it is empty unless given.
#[derive(Clone, Debug, Default, Args)]
pub struct Workspace {
    /// Copy the current directory into the bottle, `.git` and all. Nothing is ever written back.
    #[arg(long)]
    pub cwd: bool,
    /// With --cwd: leave out what git ignores.
    #[arg(long, requires = "cwd")]
    pub skip_ignored: bool,
    /// Clone a repository of the bottle, by any of its addresses, through the git gate.
    #[arg(long, value_name = "URL", conflicts_with = "cwd")]
    pub git: Option<String>,
    /// With --git: the branch, tag or commit (in full) to check out; the default branch unless given.
    #[arg(long = "ref", value_name = "REF", requires = "git", value_parser = reference)]
    pub reference: Option<String>,
}

fn reference(text: &str) -> Result<String, String> {
    Reference::of(text).map(|_| text.to_owned())
}
