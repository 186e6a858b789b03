//! `config check`: everything people wrote, checked at once (M11).

use anyhow::Context as _;
use manifest::{Home, Report, find_repo};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Checks the home and the current repository.
///
/// # Errors
/// Only when the report cannot be printed, or the secret rules (`rules.toml`) are not valid; problems that it found are
/// [`Exit::No`].
pub fn run(context: &Context, format: Format) -> Result<Exit, Failure> {
    if !context.home.exists() {
        output::note(&format!(
            "there is no home at {}; make one with `bot-bottle init`",
            context.home.display()
        ));
    }
    let repo = std::env::current_dir().ok().and_then(|here| find_repo(&here));
    let report = Report::of(Home::at(context.home.clone()), repo.as_deref());
    match format {
        Format::Json => output::json(&report).context("cannot print the report")?,
        Format::Text => output::line(&report.to_string()),
    }
    let rules = context.home.join("rules.toml");
    if rules.exists() {
        // Its error names file, line and rule.
        super::scan::rules(&rules)?;
    }
    Ok(if report.is_clean() { Exit::Ok } else { Exit::No })
}
