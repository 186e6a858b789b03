//! `completions`: what a shell needs to complete this program's command lines; names come from the home (L4).

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::Context as _;
use base::id::Slug;
use clap::ValueEnum as _;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use manifest::{Home, Library, Reach};

use crate::args::edit::Completions;
use crate::exit::{Exit, Failure};
use crate::output;

/// The variable by which the shell asks.
pub const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "bot-bottle";

/// Prints the lines to evaluate in the shell.
///
/// # Errors
/// The shell is unknown.
pub fn run(args: &Completions) -> Result<Exit, Failure> {
    let shell = args.shell.to_possible_value().map_or_else(String::new, |shell| shell.get_name().to_owned());
    let shells = Shells::builtins();
    let completer = shells.completer(&shell).context("this shell is not known")?;
    let mut lines = Vec::new();
    completer
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut lines)
        .context("cannot make the lines")?;
    output::bytes(&lines, false);
    Ok(Exit::Ok)
}

/// The operator's agents.
#[must_use]
pub fn agents(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(library) = library() else { return Vec::new() };
    let names: Vec<_> = library.agents(Reach::Home).map(|(name, _)| name.clone()).collect();
    beginning(typed, names)
}

/// The operator's bottles.
#[must_use]
pub fn bottles(typed: &OsStr) -> Vec<CompletionCandidate> {
    library().map_or_else(Vec::new, |library| beginning(typed, library.bottles().keys().cloned()))
}

/// Agents and bottles.
#[must_use]
pub fn manifests(typed: &OsStr) -> Vec<CompletionCandidate> {
    agents(typed).into_iter().chain(bottles(typed)).collect()
}

/// Bottles that were started and are not removed: those with a directory. Nobody is asked, so it is quick.
#[must_use]
pub fn started(typed: &OsStr) -> Vec<CompletionCandidate> {
    let entries = home().and_then(|home| home.join("state").read_dir().ok()).into_iter().flatten().flatten();
    let names =
        entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<Slug>().ok()));
    beginning(typed, names)
}

fn home() -> Option<PathBuf> {
    let named = std::env::var_os("BOT_BOTTLE_HOME").map(PathBuf::from);
    named.or_else(|| Some(std::env::home_dir()?.join(".bot-bottle")))
}

fn library() -> Option<Library> {
    Some(Library::of_home(Home::at(home()?)))
}

fn beginning<T: Display>(typed: &OsStr, names: impl IntoIterator<Item = T>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.retain(|name| name.starts_with(&*typed));
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}
