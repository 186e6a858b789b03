//! `doctor`: what this machine must provide, with the cure for what is missing (L11).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use base::error::chain;
use bus::server;
use jiff::Timestamp;
use launcher::LauncherConfig;
use launcher::client::program;
use launcher::host::HostEnvironment;
use launcher::prerequisite::{Missing, Need, Prerequisite, docker, prerequisites};
use manifest::provider::client::Program;
use manifest::{Home, Library, Settings};

use crate::args::doctor::Doctor;
use crate::context::{self, Context};
use crate::exit::{Exit, Failure};
use crate::host;
use crate::output::{self, Format, Paint, paint};

/// Checks everything, and prints a line for each. Ends with [`Exit::No`] if something is missing.
///
/// # Errors
/// The report cannot be printed.
pub async fn run(context: &Context, args: &Doctor) -> Result<Exit, Failure> {
    let mut found = examine(context);
    // Broken settings are the business of `config check`.
    let settings = Settings::load(&Home::at(context.home.clone())).unwrap_or_default();
    let chosen = args.backend.as_deref().or(settings.backend.map(manifest::settings::BackendName::as_str));
    let need = if chosen == Some("docker") { Need::Wanted } else { Need::Optional };
    found.extend(docker(std::env::var("DOCKER_HOST").ok().as_deref(), need).await);
    match args.json.into() {
        Format::Json => output::json(&found).context("cannot print the report")?,
        Format::Text => output::line(&render(&found)),
    }
    Ok(if found.iter().all(|one| one.found.is_ok()) { Exit::Ok } else { Exit::No })
}

fn examine(context: &Context) -> Vec<Prerequisite> {
    // Without its other programs, this one's own folder is named as the place where they should be.
    let programs = host::programs().or_else(|_| std::env::current_dir()).unwrap_or_default();
    let mut found = prerequisites(&LauncherConfig::new(context.home.clone(), programs, String::new()));
    found.push(Prerequisite { name: "nats-server".into(), found: nats_server() });
    found.push(Prerequisite { name: "clock".into(), found: clock(context.clock.now()) });
    found.extend(agents_programs(context));
    if context.home.exists() {
        found.push(Prerequisite { name: "home's mode".into(), found: mode(&context.home) });
    }
    found
}

/// The programs of the agents that the home's bottles name, each with the bottles that need it.
fn agents_programs(context: &Context) -> Vec<Prerequisite> {
    let library = Library::of_home(Home::at(context.home.clone()));
    let host = HostEnvironment::of_process();
    let mut programs: BTreeMap<String, (Result<String, Missing>, Vec<String>)> = BTreeMap::new();
    for name in library.bottles().keys() {
        // What is broken is the business of `config check`.
        let Ok(bottle) = library.resolve_bottles(std::slice::from_ref(name)) else { continue };
        let Some(client) = bottle.client.filter(|client| !matches!(client.program, Program::Words(_))) else {
            continue;
        };
        let found = || match program::find(&client, &host) {
            Ok(found) => Ok(found.words.join(" ")),
            Err(why) => Err(missing(&why.problem, &why.cure)),
        };
        let entry = programs.entry(client.provider.clone()).or_insert_with(|| (found(), Vec::new()));
        entry.1.push(name.to_string());
    }
    let line =
        |(provider, (found, bottles)): (String, (Result<String, Missing>, Vec<String>))| Prerequisite {
            name: provider.into(),
            found: found.map(|path| format!("{path}, for {}", bottles.join(", "))),
        };
    programs.into_iter().map(line).collect()
}

fn nats_server() -> Result<String, Missing> {
    if let Some(url) = context::named_bus() {
        return Ok(format!("not needed: NATS_URL names {}", base::inert(&url, 200)));
    }
    let cure = "`deploy/tools/fetch` unpacks the pinned one; or set NATS_URL to a bus of yours";
    let path = server::installed().map_err(|error| missing(&chain(&error), cure))?;
    Ok(path.display().to_string())
}

/// Identities expire and certificates have dates: a clock that stands in the past breaks both.
fn clock(now: Timestamp) -> Result<String, Missing> {
    let year = now.strftime("%Y").to_string();
    if year.as_str() >= "2026" {
        Ok(format!("{}, which is plausible", now.strftime("%Y-%m-%d")))
    } else {
        Err(missing(
            &format!("this machine believes that it is {year}"),
            "set the clock, for instance with `timedatectl`",
        ))
    }
}

fn mode(home: &Path) -> Result<String, Missing> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(home).map(|meta| meta.permissions().mode() & 0o077) {
        Ok(0) => Ok("private".to_owned()),
        Ok(_) => {
            let problem = format!("others may read {}", home.display());
            Err(missing(&problem, &format!("`chmod 700 {}`", home.display())))
        }
        Err(error) => Err(missing(
            &format!("{} cannot be looked at: {error}", home.display()),
            "look at its owner and mode",
        )),
    }
}

fn missing(problem: &str, cure: &str) -> Missing {
    Missing { problem: problem.to_owned(), cure: cure.to_owned() }
}

fn render(found: &[Prerequisite]) -> String {
    let line = |one: &Prerequisite| match &one.found {
        Ok(what) => format!("{} {:<18} {what}", paint(Paint::Green, "ok     "), one.name),
        Err(missing) => {
            let (problem, cure) = (&missing.problem, &missing.cure);
            format!(
                "{} {:<18} {problem}\n        {:<18} try: {cure}",
                paint(Paint::Red, "missing"),
                one.name,
                ""
            )
        }
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Refuses to start anything on a machine that lacks something, naming all of it.
///
/// # Errors
/// What is missing, with its cures.
pub fn demand(config: &LauncherConfig) -> Result<(), Failure> {
    let missing: Vec<String> = prerequisites(config)
        .into_iter()
        .filter_map(|one| one.found.err().map(|missing| format!("{}: {missing}", one.name)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Prerequisite,
        anyhow!("this machine lacks something:\n  {}", missing.join("\n  ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_past_is_named() {
        assert!(clock("2026-11-01T00:00:00Z".parse().unwrap()).is_ok());
        assert!(clock(Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn what_is_missing_comes_with_its_cure() {
        let found = [
            Prerequisite { name: "bubblewrap".into(), found: Ok("bubblewrap 0.8.0".to_owned()) },
            Prerequisite { name: "clock".into(), found: Err(missing("it is 1970", "set it")) },
        ];
        insta::assert_snapshot!(render(&found), @r"
        ok      bubblewrap         bubblewrap 0.8.0
        missing clock              it is 1970
                                   try: set it
        ");
    }
}
