use std::os::unix::fs::PermissionsExt as _;

use base::id::BottleName;
use manifest::grants::{self, Grant, GrantsError};
use manifest::{Library, ResolveError};

use crate::home;

const OWN: &str =
    "---\negress:\n  routes:\n    - host: api.example.com\n      matches: [{methods: [GET]}]\n---\nMine.\n";

fn grant(proposal: &str, allow: &serde_json::Value) -> Grant {
    serde_json::from_value(serde_json::json!({
        "allow": allow, "proposal": proposal, "operator": "U", "at": "2026-11-21T12:00:00Z", "reason": "docs: \"all\"\nof it",
    }))
    .unwrap()
}

fn name(text: &str) -> BottleName {
    text.parse().unwrap()
}

fn allowed(library: &Library, bottles: &[&str]) -> Result<Vec<String>, ResolveError> {
    let bottles: Vec<_> = bottles.iter().map(|bottle| name(bottle)).collect();
    let egress = library.resolve_bottles(&bottles)?.egress;
    Ok(policy::difference(&policy::EgressPolicy::default(), &egress))
}

#[test]
fn what_is_kept_is_merged_and_can_be_revoked() {
    let (directory, home) = home(&[("bottles/dev.md", OWN)]);
    let post = serde_json::json!({ "host": "api.example.com", "methods": ["POST"], "paths": [{ "type": "prefix", "value": "/x" }] });
    for _ in 0..2 {
        grants::keep(directory.path(), &name("dev"), grant("p1", &post)).unwrap();
    }
    grants::keep(
        directory.path(),
        &name("dev"),
        grant("p2", &serde_json::json!({ "host": "docs.example.com" })),
    )
    .unwrap();
    let library = Library::of_home(home.clone());
    assert!(library.warnings().is_empty(), "{:?}", library.warnings());
    insta::assert_snapshot!(allowed(&library, &["dev"]).unwrap().join("\n"), @r"
    + https://api.example.com GET to every path
    + https://api.example.com POST to /x and below
    + https://docs.example.com every request
    ");
    let kept = &library.resolve_bottles(&[name("dev")]).unwrap().grants;
    assert_eq!(
        kept.iter().map(|(bottle, grant)| (bottle.as_str(), grant.proposal.as_str())).collect::<Vec<_>>(),
        [("dev", "p1"), ("dev", "p2")]
    );
    assert_eq!(std::fs::read_to_string(directory.path().join("bottles/dev.md")).unwrap(), OWN);
    let mode =
        std::fs::metadata(directory.path().join("bottles/dev.grants.md")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(grants::revoke(directory.path(), &name("dev"), &"p2".parse().unwrap()).unwrap());
    assert!(!grants::revoke(directory.path(), &name("dev"), &"p2".parse().unwrap()).unwrap());
    let library = Library::of_home(home);
    assert_eq!(allowed(&library, &["dev"]).unwrap().len(), 2);
}

#[test]
fn grants_go_where_the_routes_go() {
    let (directory, home) = home(&[
        ("bottles/dev.md", OWN),
        ("bottles/child.md", "---\nextends: dev\n---\n"),
        (
            "bottles/own.md",
            "---\nextends: dev\negress: {routes: [{host: api.example.com, matches: [{methods: [PUT]}]}]}\n---\n",
        ),
        ("bottles/none.md", "---\nextends: dev\negress: {routes: []}\n---\n"),
    ]);
    for (proposal, host) in [("p1", "api.example.com"), ("p2", "docs.example.com")] {
        let allow = serde_json::json!({ "host": host, "methods": ["POST"] });
        grants::keep(directory.path(), &name("dev"), grant(proposal, &allow)).unwrap();
    }
    let library = Library::of_home(home);
    let all = |bottle| allowed(&library, &[bottle]).unwrap().join("\n");
    assert_eq!(all("child"), all("dev"));
    insta::assert_snapshot!(all("own"), @r"
    + https://api.example.com PUT to every path
    + https://docs.example.com POST to every path
    ");
    assert_eq!(all("none"), "");
}

#[test]
fn a_broken_grants_file_breaks_its_bottle_and_names_the_key() {
    let broken = "---\ngrants:\n  - allow: {host: '*.example.com'}\n    proposal: p1\n    operator: U\n    at: now\n  - allow: \
                  {host: a.example, auth: {}}\n    proposal: p2\n    operator: U\n    at: now\n---\n";
    let (directory, home) = home(&[
        ("bottles/dev.md", OWN),
        ("bottles/dev.grants.md", broken),
        ("bottles/lost.grants.md", "---\ngrants: []\n---\n"),
    ]);
    let library = Library::of_home(home);
    let problems = allowed(&library, &["dev"])
        .unwrap_err()
        .to_string()
        .replace(directory.path().to_str().unwrap(), "HOME");
    insta::assert_snapshot!(problems, @r"
    HOME/bottles/dev.grants.md:3:13: grants[0].allow.host: name one host; only an operator's own route covers many
    HOME/bottles/dev.grants.md:7:30: grants[1].allow.auth: there is no such key here; did you mean `paths`?
    ");
    // A grants file without its bottle is told of.
    assert_eq!(library.warnings().len(), 1);
    let allow = serde_json::json!({ "host": "b.example" });
    let refused = grants::keep(directory.path(), &name("dev"), grant("p3", &allow));
    assert!(matches!(refused, Err(GrantsError::Broken(_))), "{refused:?}");
    let refused = grants::keep(directory.path(), &name("other"), grant("p3", &allow));
    assert!(matches!(refused, Err(GrantsError::NoBottle { .. })), "{refused:?}");
}
