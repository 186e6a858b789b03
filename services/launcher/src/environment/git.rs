//! The bottle's git configuration: who commits (M9), and that every address of a repository leads to the gate (G2).

use std::collections::BTreeSet;

use crate::environment::GATE_PORT;
use crate::plan::Plan;

/// The text of `~/.gitconfig`.
pub(crate) fn git_config(plan: &Plan) -> String {
    let repos = &plan.resolved.bottle.repos;
    let mut text = identity(plan);
    if !repos.is_empty() {
        // The gate is the bottle's own neighbour, whatever the proxy variables say.
        text.push_str(&format!("[http \"http://gitgate:{GATE_PORT}/\"]\n\tproxy =\n"));
    }
    for (name, repo) in repos {
        text.push_str(&format!("[url \"http://gitgate:{GATE_PORT}/{name}\"]\n"));
        for form in forms(&repo.url) {
            text.push_str(&format!("\tinsteadOf = {}\n", quoted(&form)));
        }
    }
    text
}

/// `user.name` and `user.email` as git reads them.
fn identity(plan: &Plan) -> String {
    let identity = &plan.resolved.identity;
    let line = |key: &str, value: &str| format!("\t{key} = {}\n", quoted(value));
    let name = identity.name.as_ref().map(|claim| line("name", &claim.value));
    let email = identity.email.as_ref().map(|claim| line("email", &claim.value));
    format!("[user]\n{}{}", name.unwrap_or_default(), email.unwrap_or_default())
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether an address leads to the repository at `url` by way of the gate: with `.git` at its end or without, as the gate
/// takes it.
pub(crate) fn is_address_of(url: &str, address: &str) -> bool {
    let bare = address.strip_suffix('/').unwrap_or(address);
    let bare = bare.strip_suffix(".git").unwrap_or(bare);
    forms(url).iter().any(|form| form == bare || form == address)
}

/// The ways in which people write one repository's address, each without `.git` at its end: git compares beginnings, and
/// the gate takes the name with that ending and without.
fn forms(url: &str) -> BTreeSet<String> {
    let Some(Address { user, host, port, path }) = Address::of(url) else {
        return BTreeSet::from([url.to_owned()]);
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let mut forms = BTreeSet::new();
    // Without its port an address of another port's server would be meant; only SSH's own forms leave it out anyway.
    let ports = BTreeSet::from([port.as_str(), if port == ":22" || port == ":443" { "" } else { &port }]);
    for port in ports {
        forms.insert(format!("ssh://{user}@{host}{port}/{path}"));
        forms.insert(format!("git+ssh://{user}@{host}{port}/{path}"));
    }
    forms.insert(format!("{user}@{host}:{path}"));
    forms.insert(format!("https://{host}/{path}"));
    if url.starts_with("https://") {
        forms.insert(format!("https://{host}{port}/{path}"));
    }
    forms
}

/// An address in its parts.
struct Address<'a> {
    user: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
}

impl<'a> Address<'a> {
    /// Takes apart what the manifest has checked.
    fn of(url: &'a str) -> Option<Self> {
        let full = url.strip_prefix("ssh://").or_else(|| url.strip_prefix("https://"));
        let (authority, path) = match full {
            Some(rest) => rest.split_once('/')?,
            None => url.split_once(':')?,
        };
        let (user, host) = authority.split_once('@').unwrap_or(("git", authority));
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let path = path.trim_matches('/');
        Some(Self { user, host, port, path: path.strip_suffix(".git").unwrap_or(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_repositorys_or_not() {
        let url = "ssh://git@forge.example.org:2222/team/tools.git";
        for good in [url, "https://forge.example.org/team/tools", "git@forge.example.org:team/tools.git"] {
            assert!(is_address_of(url, good), "{good}");
        }
        for bad in [
            "https://forge.example.org/team/tools-private",
            "https://forge.example.org/team/tools/../private",
            "https://forge.example.org/team/tools.git/../private.git",
            "https://forge.example.org:8443/team/tools",
            "https://evil.example/team/tools",
            "--upload-pack=x",
            "file:///etc",
            "ext::sh -c x",
            "",
        ] {
            assert!(!is_address_of(url, bad), "{bad}");
        }
    }

    #[test]
    fn every_form_of_an_address_leads_to_the_gate() {
        let shown = |url: &str| forms(url).into_iter().collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(shown("ssh://git@forge.example.org:2222/team/tools.git"), @r"
        git+ssh://git@forge.example.org:2222/team/tools
        git@forge.example.org:team/tools
        https://forge.example.org/team/tools
        ssh://git@forge.example.org:2222/team/tools
        ");
        insta::assert_snapshot!(shown("git@forge.example.org:team/tools"), @r"
        git+ssh://git@forge.example.org/team/tools
        git@forge.example.org:team/tools
        https://forge.example.org/team/tools
        ssh://git@forge.example.org/team/tools
        ");
        insta::assert_snapshot!(shown("https://forge.example.org:8443/team/tools.git"), @r"
        git+ssh://git@forge.example.org:8443/team/tools
        git@forge.example.org:team/tools
        https://forge.example.org/team/tools
        https://forge.example.org:8443/team/tools
        ssh://git@forge.example.org:8443/team/tools
        ");
    }
}
