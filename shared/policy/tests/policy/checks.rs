use crate::raw;

/// Every problem of a policy, one on a line.
fn problems(yaml: &str) -> String {
    match policy::check(&raw(yaml)) {
        Ok(_) => "fine".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn what_people_write_is_fine() {
    for policy in [
        "routes: []",
        "log: 2",
        "routes: [{host: a.example, auth: {scheme: header, header: X-Api-Key, token_ref: KEY}}]",
        "routes: [{host: a.example, auth: {scheme: basic, token_ref: 'file:~/pw'}, port: 8443}]",
        "routes: [{host: a.example}, {host: a.example, port: 8443}, {host: a.example, scheme: http}]",
        "routes: [{host: a.example, tls: {passthrough: true}, connect_to: '[::1]:443', allow_private: ['::1/128']}]",
        "routes: [{host: a.example, dlp: {outbound_detectors: [token_patterns, entropy], inbound_detectors: false}}]",
        "routes: [{host: 192.0.2.7, mount: /a/b, git: {fetch: true}, tls: {ca: ~/ca.pem}}]",
        r#"routes: [{host: a.example, matches: [{paths: [{type: regex, value: '/v[12]/\w+'}], methods: [M-SEARCH]}]}]"#,
    ] {
        assert_eq!(problems(policy), "fine", "{policy}");
    }
}

#[test]
fn hosts_and_uniqueness() {
    insta::assert_snapshot!(problems(r#"
log: 3
routes:
  - {host: "https://api.example.com"}
  - {host: b.example, port: 0, role: admin}
  - {host: B.example., port: 443}
  - {host: b.example}
  - {host: egress}
  - {host: "*.c.example", mount: /c}
  - {host: d.example, mount: c}
  - {host: e.example, mount: /e}
  - {host: f.example, mount: /e/}
  - {host: g.example, mount: /}
"#), @r#"
    log: write 0 (nothing), 1 (decisions) or 2 (decisions with redacted content)
    routes[0].host: a scheme does not belong here; write `host: api.example.com` and, unless it is https, `scheme: https`
    routes[1].port: write a port from 1 to 65535, or leave it out for 443
    routes[1].role: this key is reserved; leave it out
    routes[4].host: egress names a part of the bottle itself; no route can lead there
    routes[5].mount: a mount leads to one host, and a wildcard covers many; write the host in full
    routes[6].mount: a path begins with /; write /c
    routes[9].mount: a mount needs a name below the root, such as /forge
    routes[3].host: routes[2] has the same host, port and scheme; merge the two
    routes[8].mount: routes[7] is mounted here already; choose another path
    "#);
}

#[test]
fn credentials() {
    insta::assert_snapshot!(problems(r#"
routes:
  - {host: a.example, auth: {scheme: header, token_ref: A}}
  - {host: b.example, auth: {scheme: Bearer, header: X-Key, token_ref: A}}
  - {host: c.example, auth: {scheme: header, header: Host, token_ref: A}}
  - {host: d.example, auth: {scheme: header, header: "x key:", token_ref: A}}
  - {host: e.example, auth: {scheme: token, token_ref: "not a name"}}
  - {host: f.example, auth: {scheme: header, header: Transfer-Encoding, token_ref: "file:x"}}
"#), @r#"
    routes[0].auth.header: scheme `header` needs the name of the header, such as X-Api-Key
    routes[1].auth.header: only scheme `header` takes a header; the others write Authorization
    routes[2].auth.header: host cannot carry a credential; name the header that the host documents
    routes[3].auth.header: `x key:` is not a header's name: letters, digits and hyphens, without the colon
    routes[4].auth.token_ref: name where the token is: an environment variable of the host such as FORGE_TOKEN, file:/path/to/it, json:/path/to/it#/place/in/it, or cmd:program argument
    routes[5].auth.header: transfer-encoding cannot carry a credential; name the header that the host documents
    routes[5].auth.token_ref: the file is named from the root or from the home: file:/path/to/it or file:~/path/to/it
    "#);
}

#[test]
fn matches() {
    insta::assert_snapshot!(problems(r#"
routes:
  - host: a.example
    matches:
      - {}
      - paths:
          - {type: prefix, value: api}
          - {type: exact, value: "/%61"}
          - {type: prefix, value: /a/../b}
          - {type: regex, value: "("}
          - {type: regex, value: "a)|(?:b"}
          - {type: regex, value: "(?x)a # b"}
          - {type: regex, value: '\w{100}'}
        methods: [get, "", "G T"]
        headers:
          - {name: "a b", value: x}
          - {name: x-a, value: "["}
          - {name: x-a, value: "[", type: regex}
          - {name: x-a, value: ""}
          - {name: TE, value: trailers}
          - {name: Proxy-Authorization, value: x}
"#), @r#"
    routes[0].matches[0]: an empty entry is unclear; give paths, methods or headers, or leave `matches` out
    routes[0].matches[1].paths[0].value: a path begins with /; write /api
    routes[0].matches[1].paths[1].value: no request has this path after normalisation; write /a
    routes[0].matches[1].paths[2].value: no request is let through with such a path: it has a . or .. segment; send the path it leads to
    routes[0].matches[1].paths[3].value: this is no usable regular expression: unclosed group
    routes[0].matches[1].paths[4].value: this is no usable regular expression: unopened group
    routes[0].matches[1].paths[5].value: this is no usable regular expression: unclosed group
    routes[0].matches[1].paths[6].value: this is no usable regular expression: it compiles to more than 512 KiB; make it simpler
    routes[0].matches[1].methods[0]: methods are in upper case; write GET
    routes[0].matches[1].methods[1]: `` is not a method, such as GET or POST
    routes[0].matches[1].methods[2]: `G T` is not a method, such as GET or POST
    routes[0].matches[1].headers[0].name: `a b` is not a header's name: letters, digits and hyphens, without the colon
    routes[0].matches[1].headers[2].value: this is no usable regular expression: unclosed character class
    routes[0].matches[1].headers[3].value: this is empty
    routes[0].matches[1].headers[4].name: this header is for the connection to the proxy and never reaches the host; test another one
    routes[0].matches[1].headers[5].name: this header is for the connection to the proxy and never reaches the host; test another one
    "#);
}

#[test]
fn detectors_and_connections() {
    insta::assert_snapshot!(problems(r#"
routes:
  - host: a.example
    dlp: {outbound_detectors: true, inbound_detectors: []}
  - host: b.example
    dlp: {outbound_detectors: [token_pattern, entropy, entropy, x], inbound_detectors: [known_secrets]}
  - host: c.example
    tls: {passthrough: true, ca: ca.pem}
    auth: {scheme: Bearer, token_ref: A}
    matches: [{methods: [GET]}]
    dlp: {}
  - host: d.example
    scheme: http
    tls: {ca: /ca.pem}
    connect_to: "d.example"
    allow_private: [0.0.0.0/0, 10.20.0.1/16]
"#), @r#"
    routes[0].dlp.outbound_detectors: leave the key out for the default ones, or list them: token_patterns, known_secrets, entropy
    routes[0].dlp.inbound_detectors: an empty list is unclear; write false if none shall look
    routes[1].dlp.outbound_detectors[0]: there is no detector `token_pattern` here; did you mean token_patterns?
    routes[1].dlp.outbound_detectors[2]: entropy is listed twice
    routes[1].dlp.outbound_detectors[3]: there is no detector `x` here; known here: token_patterns, known_secrets, entropy
    routes[1].dlp.inbound_detectors[0]: there is no detector `known_secrets` here; known here: naive_injection_detection
    routes[2].tls.ca: name the file from the root or from the home: /path/to/ca.pem or ~/ca.pem
    routes[2].tls.passthrough: passthrough lets TLS through unseen, so `auth` cannot hold; leave one of the two out
    routes[2].tls.passthrough: passthrough lets TLS through unseen, so `matches` cannot hold; leave one of the two out
    routes[2].tls.passthrough: passthrough lets TLS through unseen, so `dlp` cannot hold; leave one of the two out
    routes[2].tls.passthrough: passthrough lets TLS through unseen, so `tls.ca` cannot hold; leave one of the two out
    routes[3].tls.ca: scheme http has no TLS; leave one of the two out
    routes[3].allow_private[0]: this allows every address; name the ranges that the host is in
    routes[3].allow_private[1]: 10.20.0.1/16 has bits beyond its length; write 10.20.0.0/16 or 10.20.0.1/32
    routes[3].connect_to: write a host and a port, such as forge.internal:3000, 127.0.0.1:8443 or [::1]:8443
    "#);
}

#[test]
fn bounds() {
    let many =
        |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(", ");
    let routes = many(513, &|n| format!("{{host: h{n}.example}}"));
    assert_eq!(problems(&format!("routes: [{routes}]")), "routes: 513 routes are too many; at most 512");
    let paths = many(64, &|n| format!("{{type: regex, value: '/{n}'}}"));
    let matches = many(5, &|_| format!("{{paths: [{paths}]}}"));
    assert_eq!(
        problems(&format!("routes: [{{host: a.example, matches: [{matches}]}}]")).lines().next(),
        Some("routes[0].matches[4].paths[0].value: too many regular expressions in one policy; at most 256")
    );
    let methods = many(33, &|n| format!("M{n}"));
    assert_eq!(
        problems(&format!("routes: [{{host: a.example, matches: [{{methods: [{methods}]}}]}}]")),
        "routes[0].matches[0].methods: 33 methods are too many; at most 32"
    );
    let long = "a".repeat(1024);
    assert_eq!(
        problems(&format!(
            "routes: [{{host: a.example, matches: [{{paths: [{{type: prefix, value: /{long}}}]}}]}}]"
        )),
        "routes[0].matches[0].paths[0].value: this is too long; at most 1024 bytes"
    );
}
