//! `info`: what starting an agent would do. Names only, never values (M10).

use anyhow::{Context as _, anyhow};
use base::id::{AgentName, BottleName};
use manifest::{Home, Library, Origin, Preflight, Reach, ResolveError, Resolved, Selection, find_repo};

use crate::args::Info;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format, Paint, paint};

/// Prints the preflight of an agent.
///
/// # Errors
/// The agent or one of its bottles is missing or broken.
pub fn run(context: &Context, args: &Info) -> Result<Exit, Failure> {
    let resolved = resolve(context, &args.agent, &args.bottles)?;
    let preflight = preflight(&resolved);
    match args.format.into() {
        Format::Json => output::json(&preflight).context("cannot print the preflight")?,
        Format::Text => output::line(&render(&preflight)),
    }
    Ok(Exit::Ok)
}

/// The agent with everything that applies to it; agents of the current repository can be looked at, too.
///
/// # Errors
/// The agent or one of its bottles is missing or broken.
pub fn resolve(context: &Context, agent: &AgentName, bottles: &[BottleName]) -> Result<Resolved, Failure> {
    let home = Home::at(context.home.clone());
    let repo = std::env::current_dir().ok().and_then(|here| find_repo(&here));
    let library = match repo {
        Some(root) => Library::of_home_and_repo(home, &root),
        None => Library::of_home(home),
    };
    let selection = Selection { agent: agent.clone(), bottles: bottles.to_vec(), reach: Reach::Repo };
    library.resolve(&selection).map_err(|error| {
        let exit = match error {
            ResolveError::UnknownAgent { .. } | ResolveError::UnknownBottle { .. } => Exit::NotFound,
            _ => Exit::Input,
        };
        if context.home.exists() {
            return Failure::new(exit, error);
        }
        Failure::new(exit, anyhow!("{error}; there is no home yet: make one with `bot-bottle init`"))
    })
}

/// The preflight, with what this release does not do with it.
#[must_use]
pub fn preflight(resolved: &Resolved) -> Preflight {
    Preflight { warnings: launcher::plan::notes(resolved), ..Preflight::from(resolved) }
}

/// Refuses an agent that a repository ships: no message can name it, so no launcher would take it.
///
/// # Errors
/// When the agent is not the operator's own.
pub fn must_be_own(context: &Context, resolved: &Resolved) -> Result<(), Failure> {
    match &resolved.origin {
        Origin::Home => Ok(()),
        Origin::Repo { root } => {
            let file = root.join(".bot-bottle/agents").join(format!("{}.md", resolved.agent));
            let own = context.home.join("agents");
            let error = anyhow!(
                "the agent {} comes from this repository, and only your own run: read {}, and copy it to {} if you \
                 trust it",
                resolved.agent,
                file.display(),
                own.display()
            );
            Err(Failure::new(Exit::Input, error))
        }
    }
}

/// The preflight as text.
#[must_use]
pub fn render(preflight: &Preflight) -> String {
    let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let bottles: Vec<String> = preflight.bottles.iter().map(ToString::to_string).collect();
    let origin = match &preflight.origin {
        Origin::Home => String::new(),
        Origin::Repo { .. } => " (from this repository)".to_owned(),
    };
    let mut rows = vec![
        ("agent", format!("{}{origin}", preflight.agent)),
        ("bottles", names(&bottles)),
        ("provider", preflight.provider.clone().unwrap_or_else(|| "none named".to_owned())),
        ("environment", names(&preflight.env)),
        ("skills", names(&preflight.skills)),
        ("identity", identity(preflight)),
        ("limits", limits(preflight)),
    ];
    if preflight.routes.is_empty() {
        rows.push(("routes", "none: every request will be refused".to_owned()));
    }
    rows.extend(preflight.routes.iter().map(|route| ("route", self::route(route))));
    rows.extend(
        preflight
            .repos
            .iter()
            .map(|repo| ("repository", format!("{} {}", repo.name, base::inert(&repo.url, 200)))),
    );
    let mut lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<12} {value}")).collect();
    let warning =
        |warning: &String| format!("{} {}", paint(Paint::Yellow, "warning"), base::inert(warning, 500));
    lines.extend(preflight.warnings.iter().map(warning));
    lines.join("\n")
}

fn identity(preflight: &Preflight) -> String {
    let identity = &preflight.identity;
    let parts: Vec<String> =
        [&identity.name, &identity.email].into_iter().flatten().map(ToString::to_string).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn limits(preflight: &Preflight) -> String {
    // A map of the limits that are set; its values are numbers and short texts.
    match serde_json::to_value(preflight.limits) {
        Ok(serde_json::Value::Object(limits)) if !limits.is_empty() => {
            let shown =
                |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            limits
                .iter()
                .map(|(name, value)| format!("{name} {}", shown(value)))
                .collect::<Vec<_>>()
                .join(", ")
        }
        _ => "the launcher's own".to_owned(),
    }
}

fn route(route: &manifest::preflight::RouteLine) -> String {
    let mut marks = Vec::new();
    if route.injects {
        marks.push("adds a token");
    }
    if route.restricted {
        marks.push("some requests only");
    }
    if route.passthrough {
        marks.push("TLS passes unseen");
    }
    let marks = if marks.is_empty() { "every request".to_owned() } else { marks.join(", ") };
    format!("{}://{}:{} ({marks})", route.scheme, route.host, route.port)
}
