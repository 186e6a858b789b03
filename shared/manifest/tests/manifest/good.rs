use std::path::Path;

use manifest::{EnvValue, Limits, PromptMode, parse_bottle};
use policy::EgressPolicy;

use crate::{agent, bottle};

#[test]
fn nothing_is_required() {
    assert_eq!(bottle("").unwrap().file, manifest::bottle::BottleFile::default());
    assert_eq!(bottle("# only a comment").unwrap().file, manifest::bottle::BottleFile::default());
    assert_eq!(agent("{}").unwrap().prompt, "Go.");
}

#[test]
fn ambiguous_scalars_keep_their_text() {
    let file = bottle(
        "env: {A: NO, B: 1.10, C: 0o17, D: 2026-01-01, E: ~, F: 'null', G: true, H: '', I: 1e3, yes: no}",
    );
    let env = file.unwrap().file.env;
    for (name, text) in [
        ("A", "NO"),
        ("B", "1.10"),
        ("C", "0o17"),
        ("D", "2026-01-01"),
        ("E", "~"),
        ("F", "null"),
        ("G", "true"),
        ("H", ""),
        ("I", "1e3"),
        ("yes", "no"),
    ] {
        assert_eq!(env[name], EnvValue::Literal(text.to_owned()), "{name}");
    }
}

#[test]
fn every_key() {
    let text = r#"
extends: base
env: {TZ: UTC, EDITOR: {from_host: EDITOR}}
agent_provider: {template: command, argv: [python3, -c, "print(1)"], prompt: file}
git-gate:
  user: {name: Bot, email: bot@example.org}
  repos:
    ssh: {url: "ssh://git@forge.example:2222/team/x.git", host_key: KEY, key: {provider: static, path: ~/.ssh/id}}
    scp: {url: "git@forge.example:team/x.git", host_key: KEY comment, key: {provider: gitea, forge_token_env: T}}
    web: {url: https://forge.example/x.git, token_ref: "file:~/token", refs: {create: [agent/*], delete: []}}
egress:
  log: 2
  routes: [{host: a.example, port: 8443, allow_private: ["10.0.0.0/8", "fd00::/8"], role: null}]
supervise: false
limits: {memory: 512MiB, cpu: 1.5, processes: 64, disk: 2G, wall_time: 90m}
"#
    .replace("KEY", &crate::host_key())
    .replace(", role: null", "");
    let file = bottle(&text).unwrap().file;
    let provider = file.agent_provider.unwrap();
    assert_eq!(
        (provider.template(), provider.argv().len(), provider.options().prompt),
        ("command", 3, Some(PromptMode::File))
    );
    let limits = file.limits.unwrap();
    assert_eq!(limits.memory.unwrap().bytes(), 512 << 20);
    assert_eq!(limits.cpu.unwrap().thousandths(), 1500);
    assert_eq!(limits.wall_time.unwrap().duration().as_secs(), 5400);
    assert_eq!(
        serde_json::to_string(&limits).unwrap(),
        r#"{"memory":"512M","cpu":1.5,"processes":64,"disk":"2G","wall_time":"90m"}"#
    );
    assert_eq!(file.egress.unwrap().routes[0].allow_private.len(), 2);
}

#[test]
fn any_template_name_is_taken() {
    assert_eq!(bottle("agent_provider: my-own").unwrap().file.agent_provider.unwrap().template(), "my-own");
}

#[test]
fn a_claude_sub_agent_file_serves_as_it_is() {
    let file = agent(
        "name: reviewer\ndescription: Reviews.\nmodel: opus\ncolor: cyan\nmemory: user\ntools: [Read, Grep]\nbottle: dev",
    );
    assert_eq!(file.unwrap().file.bottle.unwrap().as_str(), "dev");
}

#[test]
fn bodies_line_ends_and_a_byte_order_mark() {
    let text = "\u{feff}---\r\nextends: base\r\n---\r\n\r\n  Notes.\r\n---\r\nMore. \r\n\r\n";
    let bottle = parse_bottle("x".parse().unwrap(), Path::new("x.md"), text).unwrap();
    assert_eq!(bottle.notes, "Notes.\r\n---\r\nMore.");
    assert_eq!(bottle.file.extends.unwrap().as_str(), "base");
}

/// What was read can be written and read again.
#[test]
fn file_to_value_to_file() {
    let yaml = r#"
env: {A: "NO", B: {from_host: B}}
agent_provider: {template: command, argv: ["a b", "1"], prompt: none}
git-gate: {repos: {}}
egress: {routes: [{host: "*.a.example", matches: [{paths: [{type: regex, value: "/x"}]}], dlp: {inbound_detectors: false}}]}
limits: {cpu: 2, memory: 1G}
"#;
    let first = bottle(yaml).unwrap();
    let written = serde_yaml::to_string(&first.file).unwrap();
    let second = bottle(&written).unwrap();
    assert_eq!(first.file, second.file);
    assert_eq!(second.file.limits.map(|Limits { cpu, .. }| cpu.unwrap().thousandths()), Some(2000));
}

/// An `egress:` section and a policy on the bus are one schema.
#[test]
fn a_section_is_a_policy() {
    let section = "log: 1\nroutes: [{host: a.example, git: {fetch: true}}]";
    let policy: EgressPolicy = serde_yaml::from_str(section).unwrap();
    let file = bottle(&format!("egress:\n  {}", section.replace('\n', "\n  "))).unwrap().file;
    assert_eq!(file.egress, Some(policy));
}
