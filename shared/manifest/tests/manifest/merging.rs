use base::id::BottleName;
use manifest::{Library, Preflight, Reach, Resolved, Selection};

use crate::home;

fn names(names: &[&str]) -> Vec<BottleName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Bottles by name and frontmatter, and an agent `a` in the first of them.
fn library(bottles: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let files: Vec<(String, String)> = bottles
        .iter()
        .map(|(name, yaml)| (format!("bottles/{name}.md"), format!("---\n{yaml}\n---\n")))
        .chain([("agents/a.md".to_owned(), format!("---\nbottle: {}\n---\nYou review.\n", bottles[0].0))])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (directory, home) = home(&files);
    (directory, Library::of_home(home))
}

fn resolve(library: &Library, bottles: &[&str]) -> Result<Resolved, String> {
    let selection = Selection { agent: "a".parse().unwrap(), bottles: names(bottles), reach: Reach::Home };
    library.resolve(&selection).map_err(|error| error.to_string())
}

/// The effective bottle in short.
fn effective(bottles: &[(&str, &str)], chosen: &[&str]) -> String {
    let (_directory, library) = library(bottles);
    let bottle = resolve(&library, chosen).unwrap().bottle;
    let env: Vec<String> = bottle.env.iter().map(|(name, value)| format!("{name}={}", json(value))).collect();
    let routes: Vec<String> =
        bottle.policy.routes().iter().map(|route| format!("{}:{}", route.host(), route.port())).collect();
    let repos: Vec<&str> = bottle.repos.keys().map(String::as_str).collect();
    let provider = bottle.provider.as_ref().map_or("-", |provider| provider.template());
    format!(
        "env {} | provider {provider} | repos {} | log {:?} | routes {} | supervise {} | limits {}",
        env.join(" "),
        repos.join(" "),
        bottle.egress.log,
        routes.join(" "),
        bottle.supervise,
        json(&bottle.limits),
    )
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

const BASE: (&str, &str) = (
    "base",
    "
env: {A: base, B: base}
agent_provider: claude
git-gate: {user: {name: Base, email: base@example.org}, repos: {x: {url: https://h.example/x}, y: {url: https://h.example/y}}}
egress: {log: 1, routes: [{host: a.example}, {host: a.example, port: 8443}, {host: b.example}]}
supervise: false
limits: {cpu: 1, memory: 1G}
",
);

#[test]
fn a_child_says_only_what_differs() {
    let child = (
        "child",
        "extends: base\nenv: {B: child, C: child}\negress: {routes: [{host: A.example., port: 444}, {host: c.example}]}\nlimits: {cpu: 2}",
    );
    insta::assert_snapshot!(effective(&[child, BASE], &[]), @r#"env A="base" B="child" C="child" | provider claude | repos x y | log Some(1) | routes b.example:443 a.example:444 c.example:443 | supervise false | limits {"memory":"1G","cpu":2.0}"#);
}

#[test]
fn nothing_declared_changes_nothing() {
    let empty = ("child", "extends: base\ngit-gate: {}\negress: {log: 0}\nenv: {}");
    insta::assert_snapshot!(effective(&[empty, BASE], &[]), @r#"env A="base" B="base" | provider claude | repos x y | log Some(0) | routes a.example:443 a.example:8443 b.example:443 | supervise false | limits {"memory":"1G","cpu":1.0}"#);
}

#[test]
fn an_explicit_empty_list_or_map_clears() {
    let cleared = ("child", "extends: base\ngit-gate: {repos: {}}\negress: {routes: []}");
    insta::assert_snapshot!(effective(&[cleared, BASE], &[]), @r#"env A="base" B="base" | provider claude | repos  | log Some(1) | routes  | supervise false | limits {"memory":"1G","cpu":1.0}"#);
    let grandchild = ("grand", "extends: child\negress: {routes: [{host: z.example}]}");
    insta::assert_snapshot!(effective(&[grandchild, cleared, BASE], &[]), @r#"env A="base" B="base" | provider claude | repos  | log Some(1) | routes z.example:443 | supervise false | limits {"memory":"1G","cpu":1.0}"#);
}

#[test]
fn several_bottles_merge_left_to_right() {
    let more = (
        "more",
        "env: {A: more}\nagent_provider: codex\nsupervise: true\negress: {routes: [{host: b.example, port: 81}]}\ngit-gate: {repos: {z: {url: https://h.example/z}}}",
    );
    insta::assert_snapshot!(effective(&[BASE, more], &["base", "more"]), @r#"env A="more" B="base" | provider codex | repos x y z | log Some(1) | routes a.example:443 a.example:8443 b.example:81 | supervise true | limits {"memory":"1G","cpu":1.0}"#);
    insta::assert_snapshot!(effective(&[BASE, more], &["more", "base"]), @r#"env A="base" B="base" | provider claude | repos x y z | log Some(1) | routes a.example:443 a.example:8443 b.example:443 | supervise false | limits {"memory":"1G","cpu":1.0}"#);
    // What a bottle cleared of its own parents is not taken from its neighbours.
    let parent = ("parent", "egress: {routes: []}");
    let heir = ("heir", "extends: parent\negress: {routes: [{host: h.example}]}");
    assert!(
        effective(&[BASE, parent, heir], &["base", "heir"])
            .contains("routes a.example:443 a.example:8443 b.example:443 h.example:443")
    );
    let wiper = ("wiper", "egress: {routes: []}");
    assert!(effective(&[BASE, wiper], &["base", "wiper"]).contains("routes  |"));
}

#[test]
fn chains_that_lead_nowhere() {
    let (_directory, library) = library(&[
        ("self", "extends: self"),
        ("one", "extends: two"),
        ("two", "extends: three"),
        ("three", "extends: two"),
        ("lost", "extends: middle"),
        ("middle", "extends: forge-dve"),
        ("forge-dev", ""),
        ("broken", "x: 1"),
        ("heir", "extends: broken"),
        ("token", "egress: {routes: [{host: a.example, auth: {scheme: token, token_ref: TOKEN}}]}"),
        ("leak", "env: {X: {from_host: TOKEN}}"),
    ]);
    let shown: Vec<String> =
        [&["self"][..], &["one"], &["lost"], &["nothing"], &["token", "token"], &["token", "leak"]]
            .map(|bottles| resolve(&library, bottles).unwrap_err())
            .to_vec();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    bottles extend each other in a circle: self -> self
    bottles extend each other in a circle: two -> three -> two
    there is no bottle forge-dve, which is extended by lost -> middle; did you mean forge-dev?
    there is no bottle nothing
    the bottle token is chosen twice; name it once
    the bottles token, leak do not fit together: env.X.from_host: TOKEN holds a credential of this bottle; the agent must not have it
    "#);
    for bottle in ["broken", "heir"] {
        let error = resolve(&library, &[bottle]).unwrap_err();
        assert!(error.contains("bottles/broken.md:2:1: x: there is no such key here"), "{error}");
    }
    assert!(resolve(&library, &["forge-dev"]).is_ok(), "broken files do not block others");
}

#[test]
fn who_commits_and_who_says_so() {
    let (directory, home) = home(&[
        (
            "bottles/dev.md",
            "---\ngit-gate: {user: {name: Dev, email: dev@example.org}}\nenv: {SECRETLY: hush, X: {from_host: HOST_VAR}}\n---\n",
        ),
        (
            "agents/a.md",
            "---\nbottle: dev\nskills: [write-tests]\ngit-gate: {user: {name: Reviewer}}\n---\n\nYou review.\n\n",
        ),
        ("agents/b.md", "---\n---\nLoose.\n"),
    ]);
    let library = Library::of_home(home);
    let resolved = resolve(&library, &[]).unwrap();
    assert_eq!(resolved.identity.name.as_ref().unwrap().to_string(), "Reviewer (agent)");
    assert_eq!(resolved.identity.email.as_ref().unwrap().to_string(), "dev@example.org (bottle)");
    assert_eq!(resolved.instructions(Some("Review it.")), "You review.\n\nReview it.");
    assert_eq!(resolved.instructions(None), "You review.");
    let preflight = json(&Preflight::from(&resolved));
    assert!(preflight.contains(r#""env":["SECRETLY","X"]"#), "{preflight}");
    for hidden in ["hush", "HOST_VAR", "You review"] {
        assert!(!preflight.contains(hidden), "{preflight}");
    }
    let loose = Selection { agent: "b".parse().unwrap(), bottles: Vec::new(), reach: Reach::Home };
    assert!(library.resolve(&loose).unwrap_err().to_string().contains("choose one with --bottle"));
    let other = Selection { agent: "bb".parse().unwrap(), bottles: Vec::new(), reach: Reach::Home };
    assert!(library.resolve(&other).unwrap_err().to_string().contains("there is no agent bb"));
    drop(directory);
}
