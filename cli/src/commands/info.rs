//! `info`: what starting an agent would do. Names only, never values (M10).

mod bottle;

use anyhow::{Context as _, anyhow};
use base::id::{AgentName, BottleName};
use launcher::limits;
use manifest::{
    Home, Image, Library, Origin, Preflight, Reach, ResolveError, Resolved, Selection, find_repo,
};

use policy::PathKind;

use crate::args::Info;
use crate::context::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format, Paint, paint};

/// Prints the preflight of an agent.
///
/// # Errors
/// The agent or one of its bottles is missing or broken.
pub async fn run(context: &Context, args: &Info) -> Result<Exit, Failure> {
    let resolved = match resolve(context, &args.agent, &args.bottles) {
        Err(failure) if failure.exit == Exit::NotFound => match args.agent.as_str().parse() {
            Ok(bottle) => return bottle::run(context, &bottle, args.format.into()).await,
            Err(_) => return Err(failure),
        },
        resolved => resolved?,
    };
    check_skills(context, &resolved)?;
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

/// Makes sure that the skills of an agent are there and whole.
///
/// # Errors
/// The first that is not.
pub fn check_skills(context: &Context, resolved: &Resolved) -> Result<(), Failure> {
    let home = Home::at(context.home.clone());
    resolved.skills.iter().try_for_each(|name| home.skill(name).map(drop)).or_exit(Exit::Input)
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
    rows.extend(preflight.image.as_ref().map(|image| ("image", self::image(image))));
    if preflight.routes.is_empty() {
        rows.push(("routes", "none: every request will be refused".to_owned()));
    }
    rows.extend(preflight.routes.iter().map(|route| ("route", self::route(route))));
    rows.extend(preflight.grants.iter().map(|kept| {
        let since = base::inert(&kept.grant.at, 30);
        ("kept grant", format!("{} ({}, {since})", super::grants::allows(&kept.grant), kept.file))
    }));
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

fn image(image: &Image) -> String {
    let (kind, value) = match image {
        Image::Dockerfile(path) => ("built from ", path.display().to_string()),
        Image::Name(name) => ("", name.clone()),
    };
    format!("{kind}{} (backend docker)", base::inert(&value, 200))
}

fn identity(preflight: &Preflight) -> String {
    let identity = &preflight.identity;
    let parts: Vec<String> =
        [&identity.name, &identity.email].into_iter().flatten().map(ToString::to_string).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn limits(preflight: &Preflight) -> String {
    // A map of the limits that are set; its values are numbers and short texts.
    let given = match serde_json::to_value(preflight.limits) {
        Ok(serde_json::Value::Object(limits)) => limits,
        _ => serde_json::Map::new(),
    };
    let shown = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut parts: Vec<_> = given.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
    let defaults = [
        ("memory", format!("{}G", limits::MEMORY >> 30)),
        ("processes", limits::PROCESSES.to_string()),
        ("wall_time", format!("{}d", limits::WALL.as_secs() / 86_400)),
    ];
    let defaults = defaults.iter().filter(|(name, _)| !given.contains_key(*name));
    parts.extend(defaults.map(|(name, value)| format!("{name} {value} (default)")));
    parts.join(", ")
}

fn route(route: &manifest::preflight::RouteLine) -> String {
    let mut marks = Vec::new();
    if route.injects {
        marks.push("adds a token");
    }
    if route.passthrough {
        marks.push("TLS passes unseen");
    }
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    let requests: Vec<String> = route.requests.iter().map(request).collect();
    let requests = if requests.is_empty() { "every request".to_owned() } else { requests.join(" or ") };
    format!("{}://{}:{}{marks}: {requests}", route.scheme, route.host, route.port)
}

/// One way for a request to be allowed: methods, paths and header names, as the bottle's file has them.
fn request(allowed: &policy::route::Match) -> String {
    let path = |path: &policy::route::PathMatch| {
        let kind = match path.kind {
            PathKind::Prefix => "below ",
            PathKind::Exact => "",
            PathKind::Regex => "matching ",
        };
        format!("{kind}{}", base::inert(&path.value, 100))
    };
    let mut parts = vec![match allowed.methods.as_slice() {
        [] => "any method".to_owned(),
        methods => methods.iter().map(|method| base::inert(method, 20)).collect::<Vec<_>>().join(", "),
    }];
    if !allowed.paths.is_empty() {
        parts.push(allowed.paths.iter().map(path).collect::<Vec<_>>().join(", "));
    }
    if !allowed.headers.is_empty() {
        let names: Vec<String> = allowed.headers.iter().map(|header| base::inert(&header.name, 40)).collect();
        parts.push(format!("with {}", names.join(", ")));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_what_is_allowed_and_which_limits_hold() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let routes = "[{host: a.example, auth: {scheme: Bearer, token_ref: T}, matches: [\
                      {methods: [GET, HEAD], paths: [{type: prefix, value: /v1}, {type: exact, value: /me}]}, \
                      {headers: [{name: X-Kind, value: y}]}]}, {host: b.example, port: 8443}]";
        let text = format!("---\nlimits: {{cpu: 2, memory: 1G}}\negress: {{routes: {routes}}}\n---\n");
        write("bottles/b.md", &text);
        let granted = "allow: {host: c.example, methods: [GET], paths: [{type: prefix, value: /docs}]}";
        let grant = format!("{{{granted}, proposal: p1, operator: U, at: 2026-11-21T12:00:00Z}}");
        write("bottles/b.grants.md", &format!("---\ngrants: [{grant}]\n---\n"));
        write("agents/a.md", "---\nbottle: b\n---\n");
        let library = Library::of_home(Home::at(folder.path().to_owned()));
        let selection = Selection { agent: "a".parse().unwrap(), bottles: vec![], reach: Reach::Home };
        let shown = render(&preflight(&library.resolve(&selection).unwrap()));
        insta::assert_snapshot!(shown, @r"
        agent        a
        bottles      b
        provider     none named
        environment  none
        skills       none
        identity     none
        limits       memory 1G, cpu 2.0, processes 1024 (default), wall_time 7d (default)
        route        https://a.example:443 (adds a token): GET, HEAD below /v1, /me or any method with X-Kind
        route        https://b.example:8443: every request
        route        https://c.example:443: GET below /docs
        kept grant   https://c.example GET to /docs and below (bottles/b.grants.md, 2026-11-21T12:00:00Z)
        ");
    }
}
