//! What a schema cannot say: names, addresses and keys that make sense, alone and together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use policy::problem::{KeyPath, Problems};
use policy::token::is_env_name;
use policy::{EgressPolicy, TokenRef};

use crate::agent::AgentFile;
use crate::bottle::BottleFile;
use crate::env::EnvValue;
use crate::git::{Repo, RepoKey};
use crate::provider::{AgentProvider, Client, SessionFiles, builtin, is_name};

mod git;

/// Variables in one file, and bytes of one value.
const VARIABLES: usize = 256;
const VALUE: usize = 32 * 1024;
const SKILLS: usize = 64;
const ARGUMENTS: usize = 256;
const SESSION_PATHS: usize = 16;

pub(crate) fn check_bottle(file: &BottleFile, problems: &mut Problems) {
    let root = KeyPath::root();
    check_env(&file.env, &root.key("env"), problems);
    if let Some(provider) = &file.agent_provider {
        check_provider(provider, &root.key("agent_provider"), problems);
    }
    if let Some(image) = &file.image {
        image.check(&root.key("image"), problems);
    }
    let git = file.git_gate.clone().unwrap_or_default();
    git::check_user(git.user.as_ref(), &root.key("git-gate").key("user"), problems);
    let repos = git.repos.unwrap_or_default();
    git::check_repos(&repos, &root.key("git-gate").key("repos"), problems);
    let egress = file.egress.clone().unwrap_or_default();
    if let Err(found) = policy::check(&egress) {
        for problem in found {
            problems.push(&root.key("egress").join(&problem.at), problem.message);
        }
    }
    check_forwarding(&file.env, &egress, &repos, problems);
}

pub(crate) fn check_agent(file: &AgentFile, problems: &mut Problems) {
    let root = KeyPath::root();
    let user = file.git_gate.as_ref().and_then(|git| git.user.as_ref());
    git::check_user(user, &root.key("git-gate").key("user"), problems);
    let at = root.key("skills");
    if file.skills.len() > SKILLS {
        problems.push(&at, format!("at most {SKILLS} skills"));
    }
    for (index, skill) in file.skills.iter().enumerate().take(SKILLS) {
        if !is_skill(skill) {
            let message = "a skill is the name of a directory in the skills folder: letters, digits, dots, \
                           underscores and hyphens, not beginning with a dot or hyphen";
            problems.push(&at.item(index), message);
        } else if file.skills[..index].contains(skill) {
            problems.push(&at.item(index), format!("{skill} is listed twice"));
        }
    }
}

fn is_skill(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !text.starts_with(['.', '-'])
}

fn check_env(env: &BTreeMap<String, EnvValue>, at: &KeyPath, problems: &mut Problems) {
    if env.len() > VARIABLES {
        problems.push(at, format!("at most {VARIABLES} variables"));
    }
    for (name, value) in env.iter().take(VARIABLES) {
        let at = at.key(name);
        if !is_env_name(name) {
            problems
                .push(&at, "a variable's name has letters, digits and underscores and begins with no digit");
        }
        match value {
            EnvValue::Literal(text) if text.contains('\0') || text.len() > VALUE => {
                problems.push(&at, "a value has at most 32 KiB and no NUL character");
            }
            EnvValue::FromHost(host) if !is_env_name(&host.from_host) => {
                problems.push(&at.key("from_host"), "name one variable of the host, such as EDITOR");
            }
            _ => {}
        }
    }
}

fn check_provider(provider: &AgentProvider, at: &KeyPath, problems: &mut Problems) {
    let name = provider.template();
    if !is_name(name) {
        let at = if matches!(provider, AgentProvider::Template(_)) { at.clone() } else { at.key("template") };
        problems.push(&at, "a template's name is a lower-case letter, then letters, digits and hyphens");
    }
    if let Some(session) = provider.session() {
        check_session(session, &at.key("session").key("paths"), problems);
    }
    let argv = provider.argv();
    if argv.len() > ARGUMENTS || argv.iter().any(|argument| argument.contains('\0')) {
        let message = format!("at most {ARGUMENTS} arguments, without NUL characters");
        problems.push(&at.key("argv"), message);
    }
    // Whether another one is known is found out when it is resolved.
    if let Some(file) = builtin::get(name) {
        for problem in Client::of(file, &provider.options(), true).err().into_iter().flatten() {
            problems.push(&problem.at, problem.message);
        }
    }
}

fn check_session(session: &SessionFiles, at: &KeyPath, problems: &mut Problems) {
    if session.paths.is_empty() || session.paths.len() > SESSION_PATHS {
        problems.push(at, format!("a session has 1 to {SESSION_PATHS} paths"));
    }
    for (index, path) in session.paths.iter().enumerate().take(SESSION_PATHS) {
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || path.len() > 1024 || path.contains('\0') || !plain {
            let message = "a path below the agent's home, without `..` and not beginning with a slash";
            problems.push(&at.item(index), message);
        }
    }
}

/// A credential that the sidecars hold must not reach the agent by the way of its environment.
pub(crate) fn check_forwarding(
    env: &BTreeMap<String, EnvValue>,
    egress: &EgressPolicy,
    repos: &BTreeMap<String, Repo>,
    problems: &mut Problems,
) {
    let secrets = secret_variables(egress, repos);
    for (name, value) in env {
        if let Some(variable) = value.from_host().filter(|variable| secrets.contains(*variable)) {
            let message = format!("{variable} holds a credential of this bottle; the agent must not have it");
            problems.push(&KeyPath::root().key("env").key(name).key("from_host"), message);
        }
    }
}

/// The host's variables that hold credentials of these routes and repositories.
fn secret_variables(egress: &EgressPolicy, repos: &BTreeMap<String, Repo>) -> BTreeSet<String> {
    let of_routes = egress.routes.iter().filter_map(|route| Some(route.auth.as_ref()?.token_ref.as_str()));
    let of_repos = repos.values().filter_map(|repo| repo.token_ref.as_deref());
    let named = of_routes.chain(of_repos).filter_map(|reference| match reference.parse() {
        Ok(TokenRef::Env(name)) => Some(name),
        _ => None,
    });
    let of_forges = repos.values().filter_map(|repo| match &repo.key {
        Some(RepoKey::Gitea { forge_token_env, .. }) => Some(forge_token_env.clone()),
        _ => None,
    });
    named.chain(of_forges).collect()
}
