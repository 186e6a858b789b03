//! Allowed and refused: routes, injection, git.

use handover::sidecar::EgressLimits;
use http::{Request, Version};
use serde_json::{Value, json};

use crate::agent::{self, Http1, Http2, empty, full, read, rule};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, config, route, token};

#[tokio::test]
async fn an_allowed_request_gets_the_real_token_and_loses_the_agents_own() {
    let origin = Origin::start(Speaks::Tls).await;
    let auth = json!({ "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let mut proxy = Proxy::with(&origin, &[route(&origin, auth)]).await;
    let request = Request::get("/v1/items?limit=3")
        .header("Host", HOST)
        .header("Authorization", "Bearer placeholder")
        .header("Authorization", "Basic eDp5")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("Connection", "keep-alive, X-Hop")
        .header("X-Hop", "1")
        .header("X-Kept", "2");
    let (status, text) = read(Http1::new(&proxy).await.send(request.body(empty()).unwrap()).await).await;
    assert_eq!((status, text.as_str()), (200, "hello from the origin"));

    let seen = origin.last();
    assert_eq!(
        seen.headers.get_all("authorization").iter().collect::<Vec<_>>(),
        [&format!("Bearer {}", token())]
    );
    assert_eq!((seen.target.as_str(), seen.header("x-kept")), ("/v1/items?limit=3", Some("2")));
    for name in ["proxy-authorization", "x-hop", "via", "x-forwarded-for", "forwarded"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let line = &proxy.allowed().await[0];
    assert_eq!((line.method.as_str(), line.host.as_str(), line.path.as_str()), ("GET", HOST, "/v1/items"));
    assert_eq!((line.status, line.received, line.revision), (200, text.len() as u64, 1));
}

#[tokio::test]
async fn what_was_judged_is_what_the_origin_gets() {
    let matches = json!({
        "auth": { "scheme": "header", "header": "X-Api-Key", "token_ref": "API_TOKEN" },
        "matches": [{ "paths": [{ "type": "prefix", "value": "/v1" }], "headers": [{ "name": "X-Env", "value": "test" }] }],
    });
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let origin = Origin::start(speaks).await;
        let proxy = Proxy::with(&origin, &[route(&origin, matches.clone())]).await;
        let mut agent = Http1::new(&proxy).await;
        let request = |connection: &'static str| {
            Request::get("/v1").header("host", HOST).header("x-env", "test").header("connection", connection)
        };
        for connection in ["keep-alive, X-Env", "x-ENV"] {
            let (status, text) = read(agent.send(request(connection).body(empty()).unwrap()).await).await;
            assert_eq!((status, rule(&text).as_str()), (403, "no-match"), "{connection}");
        }
        assert!(origin.seen().is_empty());
        // What a server could take for a header that was judged or brought goes.
        let twins =
            request("keep-alive").header("x_env", "live").header("x_api-key", "mine").header("x_y", "z");
        assert_eq!(read(agent.send(twins.body(empty()).unwrap()).await).await.0, 200);
        let seen = origin.last();
        assert_eq!((seen.header("x-env"), seen.header("x_env")), (Some("test"), None));
        assert_eq!((seen.header("x-api-key"), seen.header("x_api-key")), (Some(token().as_str()), None));
        assert_eq!(seen.header("x_y"), Some("z"));
        let overriding = request("keep-alive").header("x-original-url", "/admin");
        assert_eq!(read(agent.send(overriding.body(empty()).unwrap()).await).await.0, 403);
        assert_eq!(origin.seen().len(), 1);
    }
}

#[tokio::test]
async fn cookies_are_judged_as_the_one_that_the_origin_gets() {
    let cookie = json!({ "name": "Cookie", "type": "regex", "value": "s=[a-z]+" });
    let matches = json!({ "matches": [{ "headers": [cookie] }] });
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let origin = Origin::start(speaks).await;
        let proxy = Proxy::with(&origin, &[route(&origin, matches.clone())]).await;
        let mut agent = Http2::new(&proxy).await;
        let request = || Request::get(format!("https://{HOST}/")).header("cookie", "s=a");
        let (status, _) =
            read(agent.send(request().header("cookie", "s=b").body(empty()).unwrap()).await).await;
        assert_eq!((status, origin.seen().len()), (403, 0));
        assert_eq!(read(agent.send(request().body(empty()).unwrap()).await).await.0, 200);
        assert_eq!(origin.last().header("cookie"), Some("s=a"));
    }
}

#[tokio::test]
async fn every_form_of_credential() {
    let origin = Origin::start(Speaks::Tls).await;
    for (auth, header, value) in [
        (
            json!({ "scheme": "token", "token_ref": "API_TOKEN" }),
            "authorization",
            format!("token {}", token()),
        ),
        (
            json!({ "scheme": "basic", "token_ref": "API_TOKEN" }),
            "authorization",
            "Basic cmVhbC10b2tlbi0wMTIzNDU2Nzg5".to_owned(),
        ),
        (
            json!({ "scheme": "header", "header": "X-Api-Key", "token_ref": "API_TOKEN" }),
            "x-api-key",
            token(),
        ),
    ] {
        let proxy = Proxy::with(&origin, &[route(&origin, json!({ "auth": auth }))]).await;
        let request =
            Request::get("/").header("host", HOST).header("x-api-key", "mine").header("authorization", "a b");
        Http1::new(&proxy).await.send(request.body(empty()).unwrap()).await;
        let seen = origin.last();
        assert_eq!(seen.header(header), Some(value.as_str()));
        let names: Vec<_> = seen.headers.keys().filter(|name| *name == "authorization").collect();
        assert_eq!(names.len(), usize::from(header == "authorization"));
    }
}

#[tokio::test]
async fn no_credential_leaves_over_a_connection_to_another_name() {
    let origin = Origin::start(Speaks::TlsAs("other.example.com")).await;
    let auth = json!({ "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let mut proxy = Proxy::with(&origin, &[route(&origin, auth)]).await;
    let (status, text) = Http1::new(&proxy).await.get("/").await;
    assert_eq!((status, rule(&text).as_str()), (502, "upstream-tls"), "{text}");
    assert!(origin.seen().is_empty());
    assert_eq!(proxy.allowed().await[0].status, 0);
}

#[tokio::test]
async fn a_refusal_says_what_why_and_how_to_ask() {
    let origin = Origin::start(Speaks::Tls).await;
    let matches =
        json!({ "matches": [{ "paths": [{ "type": "prefix", "value": "/v1" }], "methods": ["GET"] }] });
    let mut proxy = Proxy::with(&origin, &[route(&origin, matches)]).await;
    let mut agent = Http1::new(&proxy).await;
    let (status, text) = agent.get("/admin?key=1").await;
    let mut refusal: Value = serde_json::from_str(&text).unwrap();
    let blocked = proxy.blocked().await;
    assert_eq!(refusal["id"], blocked.id.to_string());
    assert_eq!(refusal["ask"]["arguments"]["id"], refusal["id"]);
    refusal["id"] = "ID".into();
    refusal["ask"]["arguments"]["id"] = "ID".into();
    assert_eq!(status, 403);
    insta::assert_snapshot!(serde_json::to_string_pretty(&refusal).unwrap(), @r#"
    {
      "type": "error",
      "error": {
        "type": "permission_error",
        "message": "bot-bottle refused this (no-match): the route for api.example.com does not allow GET /admin; entry 0 needs path below /v1"
      },
      "outcome": "refused",
      "rule": "no-match",
      "reason": "the route for api.example.com does not allow GET /admin; entry 0 needs path below /v1",
      "id": "ID",
      "method": "GET",
      "scheme": "https",
      "host": "api.example.com",
      "port": 443,
      "path": "/admin",
      "ask": {
        "tool": "egress-block",
        "arguments": {
          "id": "ID",
          "justification": "…"
        }
      }
    }
    "#);
    assert_eq!((blocked.rule.as_str(), blocked.status, blocked.path.as_str()), ("no-match", 403, "/admin"));

    let request = Request::post("/v1/x").header("host", HOST).body(full("{}")).unwrap();
    assert_eq!(rule(&read(agent.send(request).await).await.1), "no-match");
    assert_eq!(agent.get("/v1/x").await.0, 200);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn where_there_is_no_door_a_refusal_names_no_tool() {
    let origin = Origin::start(Speaks::Tls).await;
    let spool = tempfile::tempdir().unwrap();
    let matches = json!({ "matches": [{ "methods": ["POST"] }] });
    let config = config(&origin, &[route(&origin, matches)], EgressLimits::default(), spool.path());
    let proxy = Proxy::of(egress::Config { has_door: false, ..config }, spool).await;
    let mut agent = Http1::new(&proxy).await;
    let (status, text) = agent.get("/x").await;
    assert_eq!((status, rule(&text).as_str()), (403, "no-match"));
    assert!(!text.contains("ask") && !text.contains("egress-block"), "{text}");
    let git = Request::get("/x").header("host", HOST).header("user-agent", "git/2").body(empty()).unwrap();
    let (_, text) = read(agent.send(git).await).await;
    assert!(text.contains("no-match") && !text.contains("egress-block"), "{text}");
}

#[tokio::test]
async fn an_unlisted_host_is_refused_where_it_can_be_read_and_never_dialled() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = Proxy::to(&origin).await;
    let stream = agent::tunnel(&proxy, "other.example.com:443").await;
    let stream = agent::tls(&proxy, stream, "other.example.com", "http/1.1").await;
    let mut agent = Http1::over(stream).await;
    let request = Request::get("/").header("host", "other.example.com").body(empty()).unwrap();
    let (status, text) = read(agent.send(request).await).await;
    assert_eq!((status, rule(&text).as_str()), (403, "unlisted-host"));
    assert_eq!((origin.connections(), proxy.blocked().await.host.as_str()), (0, "other.example.com"));
}

#[tokio::test]
async fn addresses_are_judged_before_a_packet_is_sent() {
    let origin = Origin::start(Speaks::Tls).await;
    for more in [json!({ "allow_private": [] }), json!({ "allow_private": ["10.0.0.0/8"] })] {
        let mut proxy = Proxy::with(&origin, &[route(&origin, more)]).await;
        let (status, text) = Http1::new(&proxy).await.get("/").await;
        assert_eq!((status, rule(&text).as_str()), (403, "address"), "{text}");
        let blocked = proxy.blocked().await;
        assert_eq!((origin.connections(), blocked.rule.as_str()), (0, "address"));
        assert!(blocked.reason.contains("127.0.0.1") && !text.contains("127.0.0.1"), "{text}");
    }
    // A name that resolves to loopback, and loopback as a literal.
    for host in ["localhost", "127.0.0.1"] {
        let plain = json!({ "host": host, "port": origin.address.port(), "scheme": "http" });
        let proxy = Proxy::with(&origin, &[plain]).await;
        let url = format!("http://{host}:{}/", origin.address.port());
        let request = format!(
            "GET {url} HTTP/1.1\r\nHost: {host}:{}\r\nConnection: close\r\n\r\n",
            origin.address.port()
        );
        let answer = agent::raw(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(r#""rule":"address""#), "{answer}");
        assert_eq!(origin.connections(), 0);
    }
}

#[tokio::test]
async fn http2_on_both_sides_is_judged_stream_by_stream() {
    let origin = Origin::start(Speaks::Tls).await;
    let matches = json!({ "matches": [{ "paths": [{ "type": "prefix", "value": "/v1" }] }],
        "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" } });
    let proxy = Proxy::with(&origin, &[route(&origin, matches)]).await;
    let mut agent = Http2::new(&proxy).await;
    assert_eq!(agent.get("/v1/a").await.0, 200);
    assert_eq!(agent.get("/admin").await.0, 403);
    assert_eq!(agent.get("/v1/b").await.0, 200);
    let other = Request::get("https://other.example.com/v1/c").body(empty()).unwrap();
    let (status, text) = read(agent.send(other).await).await;
    assert_eq!((status, rule(&text).as_str()), (421, "identity"));
    let seen = origin.seen();
    assert_eq!(seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/v1/a", "/v1/b"]);
    assert!(seen.iter().all(|seen| seen.version == Version::HTTP_2 && seen.header("host").is_none()));
    assert_eq!(seen[1].header("authorization").unwrap(), format!("Bearer {}", token()));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn http2_from_the_agent_becomes_http1_where_the_origin_wants_it() {
    let origin = Origin::start(Speaks::TlsHttp1).await;
    let proxy = Proxy::to(&origin).await;
    let request = Request::post(format!("https://{HOST}/v1")).header("cookie", "a=1").header("cookie", "b=2");
    let (status, _) = read(Http2::new(&proxy).await.send(request.body(full("body")).unwrap()).await).await;
    let seen = origin.last();
    assert_eq!((status, seen.version, seen.received), (200, Version::HTTP_11, 4));
    assert_eq!((seen.header("host"), seen.header("cookie")), (Some(HOST), Some("a=1; b=2")));
}

#[tokio::test]
async fn connections_to_the_origin_are_shared() {
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let origin = Origin::start(speaks).await;
        let proxy = Proxy::to(&origin).await;
        for _ in 0..3 {
            let mut agent = Http1::new(&proxy).await;
            for _ in 0..3 {
                assert_eq!(agent.get("/").await.0, 200);
            }
        }
        assert_eq!(origin.connections(), 1);
    }
}

#[tokio::test]
async fn plain_http_needs_a_route_that_says_so() {
    let origin = Origin::start(Speaks::Plain).await;
    let plain = route(
        &origin,
        json!({ "scheme": "http", "tls": null, "auth": { "scheme": "token", "token_ref": "API_TOKEN" } }),
    );
    let proxy = Proxy::with(&origin, &[plain]).await;
    let request = format!("GET http://{HOST}/x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let answer = agent::raw(&proxy, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("proxy-authenticate"), "{answer}");
    assert_eq!((origin.last().target.as_str(), origin.last().header("host")), ("/x", Some(HOST)));

    // Also through a tunnel to port 80, and never over TLS.
    let mut agent = Http1::over(agent::tunnel(&proxy, &format!("{HOST}:80")).await).await;
    assert_eq!(agent.get("/y").await.0, 200);
    let (status, text) = Http1::new(&proxy).await.get("/z").await;
    assert_eq!((status, rule(&text).as_str()), (403, "wrong-scheme"));
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_redirect_is_the_agents_to_follow() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    assert_eq!(Http1::new(&proxy).await.get("/redirect").await.0, 302);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn git_reads_a_refused_push_as_text() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let request = Request::get("/team/tools.git/info/refs?service=git-receive-pack")
        .header("host", HOST)
        .header("user-agent", "git/2.47.3");
    let response = Http1::new(&proxy).await.send(request.body(empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    let (status, text) = read(response).await;
    assert_eq!(status, 403);
    assert!(text.contains("http://gitgate:9420"), "{text}");
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn an_origin_that_is_away_is_said_to_be() {
    let origin = Origin::start(Speaks::Tls).await;
    // A port of our own on which nobody listens: bound, and never listened on.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = held.local_addr().unwrap();
    let mut proxy =
        Proxy::with(&origin, &[route(&origin, json!({ "connect_to": closed.to_string() }))]).await;
    let (status, text) = Http1::new(&proxy).await.get("/").await;
    assert_eq!((status, rule(&text).as_str()), (502, "connect"));
    assert!(text.contains(&format!("cannot connect to {HOST}")) && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(proxy.allowed().await[0].status, 0);
}
