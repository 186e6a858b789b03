//! One file's text to one checked value.

use std::path::Path;
use std::sync::LazyLock;

use base::id::{AgentName, BottleName};
use policy::problem::{KeyPath, Problems};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::agent::{Agent, AgentFile, Origin};
use crate::bottle::{Bottle, BottleFile};
use crate::dispatch::{self, DispatchFile};
use crate::document::{Document, split};
use crate::grants::{Grant, GrantsFile};
use crate::problem::{FileProblem, FileProblems};
use crate::provider;
use crate::provider::ProviderFile;
use crate::schema;
use crate::semantics::{check_agent, check_bottle};
use crate::settings::{self, Settings};
use crate::shape::{Advice, shape};
use crate::tree::{Fault, Node, parse};

static BOTTLE_SCHEMA: LazyLock<Json> = LazyLock::new(schema::bottle);
static AGENT_SCHEMA: LazyLock<Json> = LazyLock::new(schema::agent);
static GRANTS_SCHEMA: LazyLock<Json> = LazyLock::new(schema::grants);
static SETTINGS_SCHEMA: LazyLock<Json> = LazyLock::new(schema::settings);
static DISPATCH_SCHEMA: LazyLock<Json> = LazyLock::new(schema::dispatch);
static PROVIDER_SCHEMA: LazyLock<Json> = LazyLock::new(schema::provider);

/// Reads a bottle's file. `path` is only named in problems.
///
/// # Errors
/// Everything that is wrong with it (M5).
pub fn parse_bottle(name: BottleName, path: &Path, text: &str) -> Result<Bottle, FileProblems> {
    let document = split(text).map_err(|error| FileProblems::whole(path, error.to_string()))?;
    let read = read::<BottleFile>(path, &document, &BOTTLE_SCHEMA, advise_bottle, check_bottle)?;
    Ok(Bottle {
        name,
        file: read.file,
        declares_routes: read.root.get("egress").is_some_and(|egress| egress.value.get("routes").is_some()),
        notes: document.body.to_owned(),
        grants: Vec::new(),
        extends_at: read.root.locate(&KeyPath::root().key("extends")),
    })
}

/// Reads an agent's file. `path` is only named in problems.
///
/// # Errors
/// Everything that is wrong with it (M5).
pub fn parse_agent(name: AgentName, origin: Origin, path: &Path, text: &str) -> Result<Agent, FileProblems> {
    let document = split(text).map_err(|error| FileProblems::whole(path, error.to_string()))?;
    let read = read::<AgentFile>(path, &document, &AGENT_SCHEMA, advise_agent, check_agent)?;
    let bottle_at = read.root.locate(&KeyPath::root().key("bottle"));
    let skills_at = read.root.locate(&KeyPath::root().key("skills"));
    let prompt = document.body.to_owned();
    Ok(Agent { name, origin, file: read.file, prompt, bottle_at, skills_at })
}

/// Reads a bottle's kept grants. `path` is only named in problems.
pub(crate) fn parse_grants(path: &Path, text: &str) -> Result<Vec<Grant>, FileProblems> {
    let document = split(text).map_err(|error| FileProblems::whole(path, error.to_string()))?;
    let read = read::<GrantsFile>(path, &document, &GRANTS_SCHEMA, |_, _| None, check_grants)?;
    Ok(read.file.grants)
}

/// Reads the settings, which are YAML and nothing else. `path` is only named in problems.
pub(crate) fn parse_settings(path: &Path, text: &str) -> Result<Settings, FileProblems> {
    let read = read_yaml::<Settings>(path, (text, 0), &SETTINGS_SCHEMA, |_, _| None, settings::check)?;
    Ok(read.file)
}

/// Reads the dispatcher's file, which is YAML and nothing else. `path` is only named in problems.
pub(crate) fn parse_dispatch(path: &Path, text: &str) -> Result<DispatchFile, FileProblems> {
    let read = read_yaml::<DispatchFile>(path, (text, 0), &DISPATCH_SCHEMA, |_, _| None, dispatch::check)?;
    Ok(read.file)
}

/// Reads a provider's file, which is YAML and nothing else. `path` is only named in problems.
pub(crate) fn parse_provider(path: &Path, text: &str) -> Result<ProviderFile, FileProblems> {
    let read = read_yaml::<ProviderFile>(path, (text, 0), &PROVIDER_SCHEMA, |_, _| None, provider::check)?;
    Ok(read.file)
}

fn check_grants(file: &GrantsFile, problems: &mut Problems) {
    let at = KeyPath::root().key("grants");
    for (index, grant) in file.grants.iter().enumerate() {
        for problem in policy::check_delta(&grant.allow).err().into_iter().flatten() {
            problems.push(&at.item(index).key("allow").join(&problem.at), problem.message);
        }
    }
}

struct Read<T> {
    file: T,
    root: Node,
}

fn read<T: DeserializeOwned>(
    path: &Path,
    document: &Document<'_>,
    schema: &Json,
    advice: Advice,
    check: fn(&T, &mut Problems),
) -> Result<Read<T>, FileProblems> {
    // The first fence is line 1.
    read_yaml(path, (document.yaml, 1), schema, advice, check)
}

/// Reads YAML that begins after so many lines of a file.
fn read_yaml<T: DeserializeOwned>(
    path: &Path,
    (yaml, line_offset): (&str, usize),
    schema: &Json,
    advice: Advice,
    check: fn(&T, &mut Problems),
) -> Result<Read<T>, FileProblems> {
    let (root, mut faults) = parse(yaml, line_offset);
    let mut shaped = shape(&root, schema, advice);
    shaped.faults.retain(|fault| faults.iter().all(|first| first.place != fault.place));
    faults.append(&mut shaped.faults);
    let mut problems = Problems::default();
    let file = match shaped.json.as_ref().map(|json| serde_json::from_value::<T>(json.clone())) {
        Some(Ok(file)) => {
            check(&file, &mut problems);
            Some(file)
        }
        // The schema is derived from the type, so this is a kind of value that it cannot describe.
        Some(Err(error)) => {
            problems.push(&KeyPath::root(), base::inert(&error.to_string(), 300));
            None
        }
        None => None,
    };
    let found = problems.into_iter().map(|problem| (shaped.original(&problem.at), problem.message));
    let found: Vec<_> = found.filter(|(at, _)| !explained(at, &faults)).collect();
    faults.extend(found.into_iter().map(|(at, message)| Fault { place: root.locate(&at), at, message }));
    match file.filter(|_| faults.is_empty()) {
        Some(file) => Ok(Read { file, root }),
        None => Err(FileProblems::sorted(faults.into_iter().map(|fault| in_file(fault, path)).collect())),
    }
}

/// Whether something is wrong only because a part of it was left out for a fault of its own.
fn explained(at: &KeyPath, faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.at.steps().starts_with(at.steps()))
}

fn in_file(fault: Fault, path: &Path) -> FileProblem {
    FileProblem {
        path: path.to_owned(),
        place: fault.place,
        key: fault.at.to_string(),
        message: fault.message,
    }
}

fn advise_bottle(at: &KeyPath, key: &str) -> Option<String> {
    let root = at.steps().is_empty();
    (root && matches!(key, "bottle" | "skills")).then(|| format!("`{key}` belongs in an agent's file"))
}

fn advise_agent(at: &KeyPath, key: &str) -> Option<String> {
    const OF_A_BOTTLE: [&str; 7] =
        ["extends", "env", "agent_provider", "image", "egress", "supervise", "limits"];
    let root = at.steps().is_empty() && OF_A_BOTTLE.contains(&key);
    let repos = at.to_string() == "git-gate" && key == "repos";
    (root || repos).then(|| {
        format!(
            "an agent's file carries no credential, route or remote: put `{key}` into a bottle under the home"
        )
    })
}
