//! `grants`: what was granted for good, beside the bottles' own files.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use base::id::{BottleName, ProposalId};
use base::inert;
use manifest::Home;
use manifest::grants::{self, Grant, GrantsError};
use policy::difference::of_entry;
use serde::Serialize;

use crate::args::grants::{Grants, GrantsCommand, List};
use crate::context::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};

/// Lists grants, or takes one back.
///
/// # Errors
/// A grants file is broken or cannot be written, or there is no such grant.
pub fn run(context: &Context, args: Grants) -> Result<Exit, Failure> {
    match args.command {
        None => list(context, &args.list),
        Some(GrantsCommand::List(args)) => list(context, &args),
        Some(GrantsCommand::Revoke { bottle, proposal }) => revoke(context, &bottle, &proposal),
    }
}

/// A grant, and where it stands.
#[derive(Serialize)]
struct Kept {
    bottle: BottleName,
    file: PathBuf,
    #[serde(flatten)]
    grant: Grant,
}

fn list(context: &Context, args: &List) -> Result<Exit, Failure> {
    let home = Home::at(context.home.clone());
    let bottles = match &args.bottle {
        Some(bottle) => BTreeSet::from([bottle.clone()]),
        None => with_grants(&home)?,
    };
    let mut kept = Vec::new();
    for bottle in bottles {
        let file = grants::file(&home, &bottle);
        let grants = grants::load(&home, &bottle).or_exit(Exit::Input)?;
        kept.extend(grants.into_iter().map(|grant| Kept {
            bottle: bottle.clone(),
            file: file.clone(),
            grant,
        }));
    }
    match Format::from(args.format) {
        Format::Json => output::json(&kept).context("cannot print the grants")?,
        Format::Text if kept.is_empty() => output::note("nothing is granted for good"),
        Format::Text => output::line(&table(&kept)),
    }
    Ok(Exit::Ok)
}

/// The bottles that have a grants file, those without a file of their own too.
fn with_grants(home: &Home) -> Result<BTreeSet<BottleName>, Failure> {
    let entries = match std::fs::read_dir(home.bottles()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).context("cannot list the bottles").or_exit(Exit::Input),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(".grants.md")?.parse().ok()).collect())
}

fn table(kept: &[Kept]) -> String {
    let row = |kept: &Kept| {
        vec![
            kept.bottle.to_string(),
            kept.grant.proposal.to_string(),
            inert(&kept.grant.at, 30),
            allows(&kept.grant),
            kept.grant.reason.as_deref().map_or_else(String::new, |reason| inert(reason, 200)),
        ]
    };
    output::table(
        &["BOTTLE", "GRANT", "SINCE", "ALLOWS", "REASON"],
        &kept.iter().map(row).collect::<Vec<_>>(),
    )
}

/// What a grant allows, in one line.
#[must_use]
pub fn allows(grant: &Grant) -> String {
    let delta = &grant.allow;
    let port = delta.port.map_or_else(String::new, |port| format!(":{port}"));
    let entry = of_entry(&delta.entry().unwrap_or_default());
    format!("{}://{}{port} {entry}", delta.scheme.as_str(), inert(&delta.host, 255))
}

fn revoke(context: &Context, bottle: &BottleName, proposal: &ProposalId) -> Result<Exit, Failure> {
    let revoked = grants::revoke(&context.home, bottle, proposal).map_err(|error| {
        let exit = if matches!(error, GrantsError::Broken(_)) { Exit::Input } else { Exit::Internal };
        Failure::new(exit, error)
    })?;
    if !revoked {
        let error = anyhow!("{bottle} has no grant {proposal}; `bot-bottle grants` lists them");
        return Err(Failure::new(Exit::NotFound, error));
    }
    output::line(&format!("{proposal} is revoked for {bottle}; bottles that run keep it until they exit"));
    Ok(Exit::Ok)
}
