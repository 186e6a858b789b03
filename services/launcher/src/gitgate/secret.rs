//! Reading the keys and tokens of a bottle's repositories (G1). They go to the git gate and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use base::Secret;
use handover::gitgate::{GateAccess, GateRepo};
use manifest::{Repo, RepoKey};

use crate::host::HostEnvironment;
use crate::token::{self, TokenError};

/// The largest private key file, in bytes.
const KEY: u64 = 64 * 1024;

/// What the gate shows to each upstream. Repositories whose keys are yet to be registered (G8) are not among them.
///
/// # Errors
/// A key or token cannot be read; the text names it and says what to do.
pub(crate) async fn read_all(
    repos: &BTreeMap<String, Repo>,
    host: &HostEnvironment,
) -> Result<BTreeMap<String, GateRepo>, TokenError> {
    let mut all = BTreeMap::new();
    for (name, repo) in repos {
        let access = match (&repo.key, &repo.host_key) {
            (Some(RepoKey::Gitea { .. }), _) => continue,
            (Some(RepoKey::Static { path }), Some(host_key)) => {
                let key = token::read_file(Path::new(path), KEY, host).await?;
                GateAccess::Ssh { host_key: host_key.clone(), key: Secret::new(key) }
            }
            _ => {
                let token = match &repo.token_ref {
                    Some(reference) => Some(token::read_one(reference, host).await?),
                    None => None,
                };
                GateAccess::Https { token }
            }
        };
        all.insert(name.clone(), repository(repo, access));
    }
    Ok(all)
}

/// A repository with what the gate shows to its upstream.
pub(super) fn repository(repo: &Repo, access: GateAccess) -> GateRepo {
    GateRepo {
        url: repo.url.clone(),
        access,
        refs: repo.refs.clone().unwrap_or_default(),
        workflows: repo.workflows.unwrap_or_default(),
    }
}

/// Every secret that the gate of these repositories was given, to look for where it must not be.
pub(crate) fn secrets(repos: &BTreeMap<String, GateRepo>) -> impl Iterator<Item = &Secret> {
    repos.values().filter_map(|repo| match &repo.access {
        GateAccess::Ssh { key, .. } => Some(key),
        GateAccess::Https { token } => token.as_ref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repos(yaml: &str) -> BTreeMap<String, Repo> {
        serde_json::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn keys_and_tokens_are_read_or_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("key"), "line one\nline two\n").unwrap();
        let variables = [("HOME", home.path().to_str().unwrap()), ("TOKEN", "t0"), ("PATH", "/usr/bin:/bin")];
        let host = variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let read = repos(
            r#"{"a":{"url":"git@h.example:a","host_key":"ssh-ed25519 AAAA","key":{"provider":"static","path":"~/key"}},
                "b":{"url":"https://h.example/b","token_ref":"TOKEN"},
                "c":{"url":"https://h.example/c"},
                "d":{"url":"git@h.example:t/d","host_key":"ssh-ed25519 AAAA","key":{"provider":"gitea","forge_token_env":"F"}}}"#,
        );
        let all = read_all(&read, &host).await.unwrap();
        let shown: Vec<&str> = secrets(&all).map(Secret::expose).collect();
        assert_eq!(shown, ["line one\nline two\n", "t0"]);
        assert!(!all.contains_key("d"), "its key is yet to be made");
        for (wrong, words) in [
            (r#"{"a":{"url":"u","host_key":"k","key":{"provider":"static","path":"~/none"}}}"#, "~/none"),
            (r#"{"a":{"url":"u","token_ref":"UNSET"}}"#, "UNSET is not set"),
        ] {
            let error = read_all(&repos(wrong), &host).await.err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
