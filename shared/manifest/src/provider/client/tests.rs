use std::path::Path;

use super::*;
use crate::load::parse_provider;
use crate::provider::AgentProvider;

const FILE: &str = r#"
v: 1
about: A test.
program: tool
install: get it
options:
  token: {about: the token, kind: token, adds: {env: {TOOL_KEY: "${placeholder}"}, routes: [{host: api.example.com, auth: {scheme: Bearer, token_ref: "${value}"}}]}}
  model: {about: the model, kind: text, default: small, adds: {arguments: [--model, "${value}"], files: [{path: .tool/c.json, json: {model: "${model}"}}]}}
  window: {about: size, kind: number, adds: {files: [{path: .tool/c.json, json: {size: "${value}", window: "${window}"}}]}}
  endpoint: {about: where, kind: url, adds: {routes: [{host: "${value.host}", scheme: "${value.scheme}", port: "${endpoint.port}"}]}}
  quiet: {about: less, kind: switch, adds: {arguments: [-q]}}
always: {env: {A: "${label}"}, files: [{path: .tool/c.json, json: {trusted: true}}]}
headless: {start: [run, "--id=${session}"], task: stdin}
supervise: {command: [mcp, add, "${door}"], adds: {env: {DOOR: "${door}"}}}
"#;

fn client(bottle: &str, supervised: bool) -> Result<Client, String> {
    let file = parse_provider(Path::new("provider.yaml"), FILE).map_err(|problems| problems.to_string())?;
    let text = format!("---\nagent_provider: {bottle}\n---\n");
    let bottle = crate::parse_bottle("b".parse().unwrap(), Path::new("b.md"), &text);
    let provider: AgentProvider = bottle.map_err(|e| e.to_string())?.file.agent_provider.unwrap();
    Client::of(&file, &provider.options(), supervised).map_err(|problems| problems.to_string())
}

#[test]
fn pieces_of_the_options_that_are_set_are_added() {
    let client = client("{template: x, token: TOOL_TOKEN, window: 65536, quiet: true}", true).unwrap();
    assert_eq!(client.arguments, ["--model", "small", "-q"]);
    assert_eq!(client.env["TOOL_KEY"], "${placeholder}");
    assert_eq!((client.env["A"].as_str(), client.env["DOOR"].as_str()), ("${label}", "${door}"));
    assert_eq!(client.routes[0].auth.as_ref().unwrap().token_ref, "TOOL_TOKEN");
    let json = serde_json::json!({"trusted": true, "model": "small", "size": 65536, "window": 65536});
    assert_eq!(client.files, [PlacedFile { path: ".tool/c.json".into(), content: Content::Json(json) }]);
    assert_eq!(client.register.unwrap(), ["mcp", "add", "${door}"]);
}

#[test]
fn a_url_becomes_a_route_and_a_switch_that_is_off_adds_nothing() {
    let client = client("{template: x, endpoint: 'http://127.0.0.1:11434/v1', quiet: false}", false).unwrap();
    let route = &client.routes[0];
    assert_eq!(
        (route.host.as_str(), route.port, route.scheme),
        ("127.0.0.1", Some(11434), policy::Scheme::Http)
    );
    assert_eq!((client.arguments, client.register), (vec!["--model".into(), "small".into()], None));
    assert!(!client.env.contains_key("DOOR"));
}

#[test]
fn every_mistake_in_an_option_is_named() {
    for (bottle, words) in [
        (
            "{template: x, tokn: A}",
            "agent_provider.tokn: the provider x has no such option; did you mean `token`?",
        ),
        ("{template: x, window: big}", "whole number"),
        ("{template: x, quiet: perhaps}", "true or false"),
        ("{template: x, model: 'a${session}'}", "without ${"),
        ("{template: x, token: 'two words'}", "name where the token is"),
        ("{template: x, endpoint: 'a.example'}", "write a URL"),
        ("{template: x, argv: [a]}", "a program of its own"),
        ("{template: x, program: tool}", "absolute path"),
    ] {
        let error = client(bottle, true).unwrap_err();
        assert!(error.contains(words), "{bottle}: {error}");
    }
}

/// A provider's file cannot hand a token to the agent.
#[test]
fn a_token_stands_in_a_route_only() {
    for (from, to) in [
        ("{TOOL_KEY: \"${placeholder}\"}", "{TOOL_KEY: \"${value}\"}"),
        ("{A: \"${label}\"}", "{A: \"${token}\"}"),
        ("[run, \"--id=${session}\"]", "[run, \"${token}\"]"),
        ("host: api.example.com", "host: \"${value}\""),
        ("{trusted: true}", "{trusted: \"${token}\"}"),
    ] {
        let text = FILE.replace(from, to);
        assert_ne!(text, FILE, "{from}");
        let error = parse_provider(Path::new("provider.yaml"), &text).unwrap_err().to_string();
        assert!(error.contains("leads to a token"), "{to}: {error}");
    }
}

#[test]
fn a_broken_file_says_where() {
    for (from, to, words) in [
        ("${session}", "${sesion}", "did you mean ${session}?"),
        (".tool/c.json, json: {trusted", "../c.json, json: {trusted", "below the agent's home"),
        ("kind: number", "kind: numbr", "did you mean number"),
        ("about: A test.\n", "", "`about` is missing"),
        ("v: 1\n", "v: 2\n", "`2` is not"),
        ("program: tool\n", "program: /bin/tool\n", "name of the program alone"),
        ("task: stdin", "task: stdin, tsk: 1", "did you mean `task`?"),
    ] {
        let text = FILE.replace(from, to);
        assert_ne!(text, FILE, "{from}");
        let error = parse_provider(Path::new("provider.yaml"), &text).unwrap_err().to_string();
        assert!(error.contains(words), "{to}: {error}");
    }
}
