//! Identities, repositories and ref rules of the git gate.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::Host;
use policy::problem::{KeyPath, Problems};
use policy::token::{is_env_name, is_rooted};

use crate::git::{GitUser, RefRules, Repo, RepoKey};

const REPOS: usize = 64;
const PATTERNS: usize = 64;
const TEXT: usize = 1024;
const KEY_TYPES: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

pub(super) fn check_user(user: Option<&GitUser>, at: &KeyPath, problems: &mut Problems) {
    let Some(user) = user else { return };
    for (key, value) in [("name", &user.name), ("email", &user.email)] {
        let Some(value) = value else { continue };
        let clean = !value.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
        if value.trim().is_empty() || value.len() > 256 || !clean {
            problems.push(&at.key(key), "at most 256 bytes on one line, not empty, without < and >");
        }
    }
}

pub(super) fn check_repos(repos: &BTreeMap<String, Repo>, at: &KeyPath, problems: &mut Problems) {
    if repos.len() > REPOS {
        problems.push(at, format!("at most {REPOS} repositories"));
    }
    for (name, repo) in repos.iter().take(REPOS) {
        let at = at.key(name);
        if !is_repo_name(name) {
            let message = "a repository's name has letters, digits, dots, underscores and hyphens, and begins with \
                           a letter or digit";
            problems.push(&at, message);
        }
        match transport(&repo.url) {
            Ok(transport) => check_access(repo, transport, &at, problems),
            Err(message) => problems.push(&at.key("url"), message),
        }
        check_key((&repo.url, repo.key.as_ref()), &at.key("key"), problems);
        if let Some(key) = &repo.host_key
            && !is_public_key(key)
        {
            let message = "write the server's public key as in known_hosts, without the host: its type and its \
                           base64 text, such as `ssh-ed25519 AAAA…`; ssh-keyscan prints it";
            problems.push(&at.key("host_key"), message);
        }
        if let Some(refs) = &repo.refs {
            check_refs(refs, &at.key("refs"), problems);
        }
    }
}

fn is_repo_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Ssh,
    Https,
}

/// How a repository is reached, or what is wrong with its address.
fn transport(url: &str) -> Result<Transport, &'static str> {
    const FORMS: &str = "write ssh://user@host:port/path, user@host:path or https://host/path";
    if url.len() > TEXT || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(FORMS);
    }
    if let Some(rest) = url.strip_prefix("https://") {
        let (authority, path) = rest.split_once('/').ok_or(FORMS)?;
        if authority.contains('@') {
            return Err("an address carries no credential; name it in token_ref");
        }
        return (is_authority(authority) && !path.is_empty()).then_some(Transport::Https).ok_or(FORMS);
    }
    if let Some(rest) = url.strip_prefix("ssh://") {
        let (authority, path) = rest.split_once('/').ok_or(FORMS)?;
        let (user, host) =
            authority.split_once('@').ok_or("name the user, which is mostly git: ssh://git@host/path")?;
        return (is_user(user) && is_authority(host) && !path.is_empty())
            .then_some(Transport::Ssh)
            .ok_or(FORMS);
    }
    if url.contains("://") {
        return Err(
            "only ssh and https are served; write ssh://user@host:port/path, user@host:path or https://host/path",
        );
    }
    let (address, path) = url.split_once(':').ok_or(FORMS)?;
    let (user, host) = address.split_once('@').ok_or(FORMS)?;
    let fine = is_user(user) && Host::parse(host).is_ok() && !path.is_empty() && !path.starts_with('-');
    fine.then_some(Transport::Ssh).ok_or(FORMS)
}

fn is_user(user: &str) -> bool {
    user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A host with or without a port.
fn is_authority(text: &str) -> bool {
    Host::parse(text).is_ok() || text.parse::<policy::HostPort>().is_ok()
}

fn check_access(repo: &Repo, transport: Transport, at: &KeyPath, problems: &mut Problems) {
    match transport {
        Transport::Ssh => {
            if repo.host_key.is_none() {
                problems.push(at, "SSH needs `host_key`: the server's public key, which ssh-keyscan prints");
            }
            if repo.key.is_none() {
                problems.push(at, "SSH needs `key`, such as {provider: static, path: ~/.ssh/id_forge}");
            }
            if repo.token_ref.is_some() {
                problems.push(&at.key("token_ref"), "a token is for https; SSH has `key`");
            }
        }
        Transport::Https => {
            for (key, given) in [("host_key", repo.host_key.is_some()), ("key", repo.key.is_some())] {
                if given {
                    problems.push(&at.key(key), "this is for SSH; https has `token_ref`");
                }
            }
        }
    }
    if let Some(Err(error)) = repo.token_ref.as_ref().map(|reference| reference.parse::<policy::TokenRef>()) {
        problems.push(&at.key("token_ref"), error.to_string());
    }
}

fn check_key((url, key): (&str, Option<&RepoKey>), at: &KeyPath, problems: &mut Problems) {
    match key {
        Some(RepoKey::Static { path }) if !is_rooted(path) => {
            problems
                .push(&at.key("path"), "name the key's file from the root or from the home: ~/.ssh/id_forge");
        }
        Some(RepoKey::Gitea { api_url, forge_token_env }) => {
            if !names_a_repository(url) {
                problems.push(
                    at,
                    "a forge's repository is OWNER/NAME at the end of `url`; its deploy keys are there",
                );
            }
            if !is_env_name(forge_token_env) {
                let message =
                    "name the host's environment variable that holds the token, such as FORGE_TOKEN";
                problems.push(&at.key("forge_token_env"), message);
            }
            if api_url.as_ref().is_some_and(|url| !is_web_address(url)) {
                problems
                    .push(&at.key("api_url"), "write the forge's address, such as https://forge.example.org");
            }
        }
        _ => {}
    }
}

/// Whether an address ends with an owner and a name, as forges have them.
fn names_a_repository(url: &str) -> bool {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/'),
        None => url.split_once(':'),
    };
    path.is_some_and(|(_, path)| path.split('/').filter(|part| !part.is_empty()).count() >= 2)
}

fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split('/').next().unwrap_or(rest));
    url.len() <= TEXT && !url.contains(char::is_whitespace) && authority.is_some_and(is_authority)
}

/// A public key as in `authorized_keys` (RFC 4253, section 6.6): its type, and the same type inside its base64.
fn is_public_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let (Some(kind), Some(encoded)) = (words.next(), words.next()) else { return false };
    let Ok(blob) = STANDARD.decode(encoded) else { return false };
    let Some((length, rest)) = blob.split_first_chunk::<4>() else { return false };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    KEY_TYPES.contains(&kind) && rest.len() > length && rest.get(..length) == Some(kind.as_bytes())
}

fn check_refs(refs: &RefRules, at: &KeyPath, problems: &mut Problems) {
    let lists = [
        ("create", &refs.create),
        ("update", &refs.update),
        ("force", &refs.force),
        ("delete", &refs.delete),
    ];
    for (key, patterns) in lists {
        let at = at.key(key);
        let patterns = patterns.as_deref().unwrap_or_default();
        if patterns.len() > PATTERNS {
            problems.push(&at, format!("at most {PATTERNS} patterns"));
        }
        for (index, pattern) in patterns.iter().enumerate().take(PATTERNS) {
            if !is_ref_pattern(pattern) {
                let message = "write a branch, or refs/… in full, with * for a part of it, such as agent/*";
                problems.push(&at.item(index), message);
            }
        }
    }
}

/// A ref name as `git check-ref-format` has it, with `*` in it.
fn is_ref_pattern(pattern: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '[' | '\\');
    (1..=256).contains(&pattern.len())
        && !pattern.contains(forbidden)
        && !pattern.contains("..")
        && !pattern.contains("@{")
        && !pattern.starts_with('-')
        && pattern
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && !pattern.ends_with('.')
}
