use crate::{agent, faults};

#[test]
fn keys_and_types_all_at_once() {
    insta::assert_snapshot!(faults(r#"
extend: base
env: [A]
agent_provider:
  template: command
  argv: run
  promt: stdin
supervise: yes
limits: {memory: lots, cpu: many, processes: 0, disk: 1.5G, wall_time: 08h}
egress:
  log: 1.5
  routes:
    - host: a.example
      prot: 443
      port: 70000
      auth: {scheme: bearer, token_ref: A_TOKEN}
      matches:
        - paths: [{type: prefx, value: /a}, {value: /b}]
          methods: GET
    - scheme: https
    - plain.example
    - host: 10.0.0.1
      allow_private: [10.0.0.0, 10.0.0.0/8]
      dlp: {outbound_detectors: yes, outbound_on_match: ask}
      tls:
"#), @r#"
    dev.md:3:1: extend: there is no such key here; did you mean `extends`?
    dev.md:4:6: env: this is a list; give a map of keys
    dev.md:7:9: agent_provider.argv: `run` is a single value; give a list
    dev.md:8:3: agent_provider.promt: the provider command has no such option; did you mean `prompt`?
    dev.md:9:12: supervise: `yes` is not true or false; write true
    dev.md:10:18: limits.memory: `lots` is not accepted here: a whole number and M, G or T, such as 512M or 2G
    dev.md:10:29: limits.cpu: `many` is not a number from 0.01 to 1024
    dev.md:10:46: limits.processes: `0` is not a whole number from 1 to 4194304
    dev.md:10:55: limits.disk: `1.5G` is not accepted here: a whole number and M, G or T, such as 512M or 2G
    dev.md:10:72: limits.wall_time: `08h` is not accepted here: a whole number and s, m, h or d, such as 90m or 8h
    dev.md:12:8: egress.log: `1.5` is not a whole number from 0 to 2
    dev.md:15:7: egress.routes[0].prot: there is no such key here; did you mean `port`?
    dev.md:16:13: egress.routes[0].port: `70000` is not a whole number from 1 to 65535
    dev.md:17:22: egress.routes[0].auth.scheme: `bearer` is not one of Bearer, token, basic, header; did you mean Bearer?
    dev.md:19:26: egress.routes[0].matches[0].paths[0].type: `prefx` is not one of prefix, exact, regex; did you mean prefix?
    dev.md:19:45: egress.routes[0].matches[0].paths[1]: the key `type` is missing
    dev.md:20:20: egress.routes[0].matches[0].methods: `GET` is a single value; give a list
    dev.md:21:7: egress.routes[1]: the key `host` is missing
    dev.md:22:7: egress.routes[2]: `plain.example` is a single value; give a map of keys
    dev.md:24:23: egress.routes[3].allow_private[0]: `10.0.0.0` is not a range of addresses, such as 10.20.0.0/16 or 192.0.2.7/32
    dev.md:25:33: egress.routes[3].dlp.outbound_detectors: `yes` is not false, or a list
    dev.md:25:57: egress.routes[3].dlp.outbound_on_match: `ask` is not one of supervise, redact, block
    dev.md:26:10: egress.routes[3].tls: this is empty; give a map of keys
    "#);
}

#[test]
fn meaning_is_checked_beside_types() {
    insta::assert_snapshot!(faults(r#"
env: {1A: x, B: {from_host: "a b"}}
agent_provider: command
egress:
  routes:
    - {host: a.example, prot: 1}
    - {host: "https://b.example"}
    - {prot: 1}
    - {host: c.example, matches: [{methods: 5, paths: [{type: exact, value: x}]}]}
    - {host: d.example, matches: [{methods: {}}]}
    - {host: A.EXAMPLE}
"#), @r#"
    dev.md:3:7: env.1A: a variable's name has letters, digits and underscores and begins with no digit
    dev.md:3:18: env.B.from_host: name one variable of the host, such as EDITOR
    dev.md:4:1: agent_provider.argv: this provider needs a program: write `argv: [program, argument]` beside `template`
    dev.md:7:25: egress.routes[0].prot: there is no such key here; did you mean `port`?
    dev.md:8:8: egress.routes[1].host: a scheme does not belong here; write `host: b.example` and, unless it is https, `scheme: https`
    dev.md:9:7: egress.routes[2]: the key `host` is missing
    dev.md:9:8: egress.routes[2].prot: there is no such key here; did you mean `port`?
    dev.md:10:45: egress.routes[3].matches[0].methods: `5` is a single value; give a list
    dev.md:10:70: egress.routes[3].matches[0].paths[0].value: a path begins with /; write /x
    dev.md:11:45: egress.routes[4].matches[0].methods: this is a map of keys; give a list
    dev.md:12:8: egress.routes[5].host: routes[0] has the same host, port and scheme; merge the two
    "#);
}

#[test]
fn yaml_that_has_more_than_one_meaning() {
    insta::assert_snapshot!(faults(r#"
env: &all
  A: !!str x
  B: *all
  A: y
  ? [a, b]
  : c
<<: {C: d}
"#), @r#"
    dev.md:3:6: env: anchors are not accepted; write the value where it is needed
    dev.md:4:6: env.A: tags are not accepted; the key alone says what its value is
    dev.md:5:6: env.B: aliases are not accepted; write the value out
    dev.md:6:3: env.A: this key stands in line 4 already
    dev.md:7:5: env: a key is one word or a quoted text
    dev.md:9:1: ["<<"]: there is no such key here; known here: extends, env, agent_provider, image, git-gate, egress, supervise, limits
    "#);
    insta::assert_snapshot!(faults("env: {A: b}\n--- {env: {}}"), @r#"dev.md:3:1: a second document begins here; a file has one"#);
    insta::assert_snapshot!(faults("env:\n  A: b\n B: c"), @r#"dev.md:4:2: this is not YAML: while parsing a block mapping, did not find expected key"#);
    insta::assert_snapshot!(faults("- a"), @r#"dev.md:2:1: this is a list; give a map of keys"#);
    insta::assert_snapshot!(faults(&format!("env: {}", "[".repeat(100))), @r#"
    dev.md:2:6: env: this is a list; give a map of keys
    dev.md:2:29: env[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: this is nested too deeply
    "#);
    insta::assert_snapshot!(faults("env:\n\tA: b"), @r#"dev.md:3:2: env: this is not YAML: tabs disallowed within this context (block indentation)"#);
}

#[test]
fn repositories() {
    insta::assert_snapshot!(faults(&r#"
git-gate:
  user: {name: "", email: "a <b>"}
  repos:
    ../x: {url: https://forge.example/x.git}
    file: {url: file:///etc}
    ssh: {url: ssh://git@forge.example:2222/team/x.git}
    web: {url: https://forge.example/x.git, host_key: KEY, token_ref: a b}
    login: {url: "https://me:pw@forge.example/x.git"}
    short: {url: "git@forge.example:team/x.git", host_key: ssh-ed25519 AAAA, key: {provider: static, path: id}}
    deploy: {url: "git@forge.example:x", host_key: KEY, key: {provider: gitea, api_url: forge, forge_token_env: 1}}
    other: {url: "git@forge.example:x", host_key: KEY, key: {provider: vault}}
    mixed: {url: "git@forge.example:x", host_key: MIXED, key: {provider: static, path: /id}}
    none: {url: "git@forge.example:x", host_key: KEY, key: {path: /id}}
    refs: {url: https://forge.example/x, refs: {create: ["a b", "agent/*", "../x"], destroy: []}}
"#.replace("KEY", &crate::host_key())
            .replace("MIXED", &crate::host_key().replace("ssh-ed25519 ", "ssh-rsa "))), @r#"
    dev.md:4:10: git-gate.user.name: at most 256 bytes on one line, not empty, without < and >
    dev.md:4:20: git-gate.user.email: at most 256 bytes on one line, not empty, without < and >
    dev.md:6:5: git-gate.repos["../x"]: a repository's name has letters, digits, dots, underscores and hyphens, and begins with a letter or digit
    dev.md:7:12: git-gate.repos.file.url: only ssh and https are served; write ssh://user@host:port/path, user@host:path or https://host/path
    dev.md:8:5: git-gate.repos.ssh: SSH needs `host_key`: the server's public key, which ssh-keyscan prints
    dev.md:8:5: git-gate.repos.ssh: SSH needs `key`, such as {provider: static, path: ~/.ssh/id_forge}
    dev.md:9:45: git-gate.repos.web.host_key: this is for SSH; https has `token_ref`
    dev.md:9:137: git-gate.repos.web.token_ref: name where the token is: an environment variable of the host such as FORGE_TOKEN, file:/path/to/it, json:/path/to/it#/place/in/it, or cmd:program argument
    dev.md:10:13: git-gate.repos.login.url: an address carries no credential; name it in token_ref
    dev.md:11:50: git-gate.repos.short.host_key: write the server's public key as in known_hosts, without the host: its type and its base64 text, such as `ssh-ed25519 AAAA…`; ssh-keyscan prints it
    dev.md:11:102: git-gate.repos.short.key.path: name the key's file from the root or from the home: ~/.ssh/id_forge
    dev.md:12:134: git-gate.repos.deploy.key: a forge's repository is OWNER/NAME at the end of `url`; its deploy keys are there
    dev.md:12:157: git-gate.repos.deploy.key.api_url: write the forge's address, such as https://forge.example.org
    dev.md:12:173: git-gate.repos.deploy.key.forge_token_env: name the host's environment variable that holds the token, such as FORGE_TOKEN
    dev.md:13:149: git-gate.repos.other.key.provider: `vault` is not one of static, gitea
    dev.md:14:41: git-gate.repos.mixed.host_key: write the server's public key as in known_hosts, without the host: its type and its base64 text, such as `ssh-ed25519 AAAA…`; ssh-keyscan prints it
    dev.md:15:137: git-gate.repos.none.key: the key `provider` is missing; one of static, gitea
    dev.md:16:58: git-gate.repos.refs.refs.create[0]: write a branch, or refs/… in full, with * for a part of it, such as agent/*
    dev.md:16:76: git-gate.repos.refs.refs.create[2]: write a branch, or refs/… in full, with * for a part of it, such as agent/*
    dev.md:16:85: git-gate.repos.refs.refs.destroy: there is no such key here; known here: create, update, force, delete
    "#);
}

#[test]
fn an_agent_carries_no_credential_route_or_remote() {
    insta::assert_snapshot!(agent(r#"
bottle: Dev
skills: [write-tests, ../x, write-tests]
env: {A: b}
egress: {routes: []}
botle: x
git-gate: {repos: {}, user: {nmae: x}}
"#).unwrap_err(), @r#"
    reviewer.md:3:9: bottle: `Dev` is not accepted here: a lower-case letter, then lower-case letters, digits and hyphens, at most 50 characters
    reviewer.md:4:23: skills[1]: a skill is the name of a directory in the skills folder: letters, digits, dots, underscores and hyphens, not beginning with a dot or hyphen
    reviewer.md:4:29: skills[2]: write-tests is listed twice
    reviewer.md:5:1: env: there is no such key here; an agent's file carries no credential, route or remote: put `env` into a bottle under the home
    reviewer.md:6:1: egress: there is no such key here; an agent's file carries no credential, route or remote: put `egress` into a bottle under the home
    reviewer.md:7:1: botle: there is no such key here; did you mean `bottle`?
    reviewer.md:8:12: git-gate.repos: there is no such key here; an agent's file carries no credential, route or remote: put `repos` into a bottle under the home
    reviewer.md:8:30: git-gate.user.nmae: there is no such key here; did you mean `name`?
    "#);
}

#[test]
fn a_credential_is_not_forwarded() {
    insta::assert_snapshot!(faults(r#"
env: {A: {from_host: FORGE_TOKEN}, B: {from_host: OTHER_TOKEN}, C: {from_host: EDITOR}}
git-gate: {repos: {x: {url: https://forge.example/x, token_ref: OTHER_TOKEN}}}
egress: {routes: [{host: forge.example, auth: {scheme: token, token_ref: FORGE_TOKEN}}]}
"#), @r#"
    dev.md:3:11: env.A.from_host: FORGE_TOKEN holds a credential of this bottle; the agent must not have it
    dev.md:3:40: env.B.from_host: OTHER_TOKEN holds a credential of this bottle; the agent must not have it
    "#);
}

#[test]
fn a_pasted_token_is_refused_and_not_repeated() {
    let pasted = format!("ghp_{}", "Ab3".repeat(12));
    let text = faults(&format!(
        "egress: {{routes: [{{host: a.example, auth: {{scheme: token, token_ref: {pasted}}}}}]}}"
    ));
    assert!(text.contains("looks like a token") && !text.contains(&pasted), "{text}");
}

#[test]
fn faults_are_inert() {
    let text = faults("\"a\\e[2Jb\": 1\nextends: \"\\u202e\"\nenv: {\"x\\ny\": z}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn files_without_frontmatter() {
    use manifest::parse_bottle;
    for (text, message) in [
        ("", "must begin with a line `---`"),
        ("extends: x\n", "must begin with a line `---`"),
        ("---\nextends: x\n", "end it with a line `---`"),
        ("---", "must begin with a line `---`"),
    ] {
        let problems = parse_bottle("x".parse().unwrap(), "x.md".as_ref(), text).unwrap_err().to_string();
        assert!(problems.starts_with("x.md:1:1: ") && problems.contains(message), "{text:?}: {problems}");
    }
    let large = format!("---\n# {}\n---\n", "x".repeat(300 * 1024));
    let problems = parse_bottle("x".parse().unwrap(), "x.md".as_ref(), &large).unwrap_err().to_string();
    assert!(problems.contains("larger than 256 KiB"), "{problems}");
}
