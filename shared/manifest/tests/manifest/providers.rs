use manifest::{Library, Report};

use crate::home;

const OWN: &str = "v: 1\nabout: Mine.\nprogram: mine\nheadless: {start: []}\nsupervise: {}\n\
                   always: {files: [{path: .mine/notes, from: files/notes.txt}]}\n";

fn bottle(provider: &str) -> String {
    format!("---\nagent_provider: {provider}\n---\n")
}

fn resolved(files: &[(&str, &str)]) -> Result<manifest::EffectiveBottle, String> {
    let (_folder, home) = home(files);
    let library = Library::of_home(home);
    library.resolve_bottles(&["b".parse().unwrap()]).map_err(|error| error.to_string())
}

#[test]
fn a_provider_of_ones_own_is_used_with_the_files_beside_it() {
    let bottle = resolved(&[
        ("contrib/mine/provider.yaml", OWN),
        ("contrib/mine/files/notes.txt", "Label ${label}."),
        ("bottles/b.md", &bottle("mine")),
    ]);
    let client = bottle.unwrap().client.unwrap();
    assert_eq!(client.provider, "mine");
    assert_eq!(String::from_utf8(client.files[0].content.bytes().unwrap()).unwrap(), "Label ${label}.");
}

#[test]
fn an_unknown_or_broken_provider_is_named() {
    let error =
        resolved(&[("contrib/mine/provider.yaml", OWN), ("bottles/b.md", &bottle("mime"))]).unwrap_err();
    assert!(error.contains("did you mean mine?") && error.contains("claude, codex"), "{error}");
    let error =
        resolved(&[("contrib/mine/provider.yaml", "v: 1\nabot: x\n"), ("bottles/b.md", &bottle("mine"))]);
    let error = error.unwrap_err();
    assert!(error.contains("provider.yaml:2:1: abot") && error.contains("did you mean `about`?"), "{error}");
    let error =
        resolved(&[("contrib/mine/provider.yaml", OWN), ("bottles/b.md", &bottle("mine"))]).unwrap_err();
    assert!(error.contains("files/notes.txt"), "{error}");
}

/// Otherwise a file in the home would silently take the place of what an operator believes to run.
#[test]
fn no_provider_takes_a_built_in_ones_name() {
    let (_folder, home) = home(&[("contrib/claude/provider.yaml", OWN), ("contrib/note.txt", "")]);
    let report = Report::of(home, None);
    assert!(report.problems.iter().any(|problem| problem.message.contains("name of a built-in provider")));
    assert!(report.warnings.iter().any(|warning| warning.path.ends_with("contrib/note.txt")));
}

#[test]
fn a_providers_route_and_the_bottles_become_one_and_conflicts_are_errors() {
    let text = "---\nagent_provider: {template: claude, auth_token: TOKEN}\n\
                egress: {routes: [{host: api.anthropic.com, connect_to: '127.0.0.1:8443', allow_private: [127.0.0.0/8]}]}\n---\n";
    let routes = resolved(&[("bottles/b.md", text)]).unwrap().egress.routes;
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].auth.as_ref().unwrap().token_ref, "TOKEN");
    assert_eq!(routes[0].connect_to.as_deref(), Some("127.0.0.1:8443"));
    let other = text.replace("connect_to: '127.0.0.1:8443'", "auth: {scheme: Bearer, token_ref: OTHER}");
    let error = resolved(&[("bottles/b.md", &other)]).unwrap_err();
    assert!(error.contains("routes[0].auth: the provider sets this too"), "{error}");
}

/// Without a token the route would carry whatever credential the agent was given by those who steer it.
#[test]
fn without_a_token_there_is_no_route_to_a_model() {
    for provider in ["claude", "codex", "opencode"] {
        let bottle = resolved(&[("bottles/b.md", &bottle(provider))]).unwrap();
        assert_eq!(bottle.egress.routes, [], "{provider}");
    }
}

#[test]
fn a_token_that_a_provider_uses_is_not_forwarded() {
    let text =
        "---\nagent_provider: {template: claude, auth_token: TOKEN}\nenv: {A: {from_host: TOKEN}}\n---\n";
    let error = resolved(&[("bottles/b.md", text)]).unwrap_err();
    assert!(error.contains("holds a credential"), "{error}");
}
