//! Which repository of which forge an address means.

/// An address that names no repository of a forge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} names no repository OWNER/NAME of a forge; give the address as the forge shows it, and api_url")]
pub struct InvalidRepository(String);

/// A repository at a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The forge's address without a slash at its end, such as `https://forge.example.org`.
    pub forge: String,
    /// The owner and the name, as the forge's API writes them.
    pub owner: String,
    /// See above.
    pub name: String,
}

impl Repository {
    /// Takes apart an address as in the manifest, which was checked there: `ssh://user@host[:port]/[base/]owner/name`,
    /// `user@host:owner/name` or `https://host/…`, each with or without `.git`. `api_url` is the forge's address where
    /// it is not `https://host`; with `/api/v1` at its end it means the same.
    ///
    /// # Errors
    /// Owner and name are not in it.
    pub fn of(url: &str, api_url: Option<&str>) -> Result<Self, InvalidRepository> {
        let invalid = || InvalidRepository(base::inert(url, 200));
        let (authority, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/'),
            None => url.split_once(':'),
        }
        .ok_or_else(invalid)?;
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let (owner, name) = path.rsplit_once('/').ok_or_else(invalid)?;
        let owner = owner.rsplit('/').next().unwrap_or(owner);
        if ![owner, name].into_iter().all(is_name) {
            return Err(invalid());
        }
        let forge = api_url.map_or_else(|| format!("https://{host}"), str::to_owned);
        let forge = forge.trim_end_matches('/');
        let forge = forge.strip_suffix("/api/v1").unwrap_or(forge).to_owned();
        Ok(Self { forge, owner: owner.to_owned(), name: name.to_owned() })
    }

    /// The address of its deploy keys.
    #[must_use]
    pub fn keys(&self) -> String {
        format!("{}/api/v1/repos/{}/{}/keys", self.forge, self.owner, self.name)
    }
}

/// What forges take for owners and repositories; nothing of it means anything in an address.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_repository_of_a_forge() {
        for (url, api_url, keys) in [
            (
                "ssh://git@f.example:2222/team/tools.git",
                None,
                "https://f.example/api/v1/repos/team/tools/keys",
            ),
            ("git@f.example:team/tools", None, "https://f.example/api/v1/repos/team/tools/keys"),
            (
                "ssh://git@f.example/team/tools",
                Some("http://127.0.0.1:3000/"),
                "http://127.0.0.1:3000/api/v1/repos/team/tools/keys",
            ),
            (
                "git@f.example:team/tools.git",
                Some("https://f.example/git/api/v1"),
                "https://f.example/git/api/v1/repos/team/tools/keys",
            ),
        ] {
            assert_eq!(Repository::of(url, api_url).unwrap().keys(), keys);
        }
        for wrong in ["git@f.example:tools", "ssh://git@f.example/../tools", "git@f.example:a/b?c", "nothing"]
        {
            let refused = Repository::of(wrong, None).unwrap_err().to_string();
            assert!(refused.contains("OWNER/NAME"), "{refused}");
        }
    }
}
