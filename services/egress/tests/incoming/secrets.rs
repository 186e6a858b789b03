//! The bottle's secrets do not come back.

use super::*;

#[tokio::test]
async fn an_echoed_credential_is_blotted_out_of_the_head() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    let token = token();
    let script = Script::new("text/plain")
        .header("x-echo", &format!("you sent Bearer {token}, thanks"))
        .header("x-echo", "second")
        .header("location", &format!("https://{HOST}/?t={}", STANDARD.encode(&token)))
        .header(&format!("x-{token}"), "1");
    origin.says(script.data("fine"));
    let response = ask(&proxy).await;
    assert_eq!(origin.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
    let headers = format!("{:?}", response.headers());
    assert!(!headers.contains(&token) && !headers.contains(&STANDARD.encode(&token)), "{headers}");
    let echoes: Vec<_> = response.headers().get_all("x-echo").iter().collect();
    assert_eq!(echoes, ["you sent Bearer 1111-11111-1111111111, thanks", "second"]);
    assert!(response.headers()["location"].to_str().unwrap().starts_with(&format!("https://{HOST}/?t=1111")));
    assert_eq!(read(response).await, (200, "fine".to_owned()));
    let line = line(&mut proxy).await;
    assert!(of_secret(&line.found) && line.found.iter().all(|found| found.outcome == Outcome::Redacted));
    assert!(!serde_json::to_string(&line).unwrap().contains(&token));
}

#[tokio::test]
async fn an_echoed_credential_is_blotted_out_of_heads_of_all_kinds() {
    let (origin, mut proxy) = world(Speaks::TlsHttp1).await;
    let mut script = Script::new("text/plain").data("fine");
    script.reason = Some(format!("Thanks for {}", token()));
    origin.says(script);
    let response = ask(&proxy).await;
    assert!(response.extensions().get::<hyper::ext::ReasonPhrase>().is_none());
    assert_eq!(read(response).await, (200, "fine".to_owned()));
    assert!(of_secret(&line(&mut proxy).await.found));

    let stream = tls_to_host(&proxy, "http/1.1").await;
    let (socket, response) =
        limited(Box::pin(tokio_tungstenite::client_async(format!("wss://{HOST}/ws"), stream))).await.unwrap();
    assert_eq!(origin.last().header("authorization"), Some(format!("Bearer {}", token()).as_str()));
    assert_eq!(response.headers()["x-echo"], "Bearer 1111-11111-1111111111");
    drop(socket);
    let found = line(&mut proxy).await.found;
    assert!(of_secret(&found) && found.len() == 1, "{found:?}");
}

#[tokio::test]
async fn an_echoed_credential_is_blotted_out_of_the_body_and_its_length_stays() {
    let token = token();
    let filler = "all is well, nothing to see here. ".repeat(5_000);
    for (speaks, inbound) in
        [(Speaks::Tls, json!({})), (Speaks::TlsHttp1, json!({ "inbound_detectors": false }))]
    {
        let origin = Origin::start(speaks).await;
        let mut proxy = Proxy::with(&origin, &[with_credential(&origin, json!({ "dlp": inbound }))]).await;
        for (kind, text) in [
            ("application/json", json!({ "authorization": format!("Bearer {token}"), "n": 1 }).to_string()),
            ("text/plain", format!("it is {} in other letters", STANDARD.encode(&token))),
            ("text/plain", format!("it is {} in other letters", hex::encode(&token))),
            ("application/octet-stream", format!("{filler}{token}{filler}")),
        ] {
            let script = Script::new(kind).header("content-length", &text.len().to_string());
            // The secret comes in two pieces.
            let middle = text.len() / 2;
            origin.says(script.data(text[..middle].to_owned()).data(text[middle..].to_owned()));
            let response = ask(&proxy).await;
            assert_eq!(response.headers()["content-length"], text.len().to_string());
            let (status, got) = read(response).await;
            assert_eq!((status, got.len()), (200, text.len()));
            for secret in [&token, &STANDARD.encode(&token), &hex::encode(&token)] {
                assert!(!got.contains(secret.as_str()), "{kind}");
            }
            if kind == "application/json" {
                let got: Value = serde_json::from_str(&got).expect("still JSON");
                assert_eq!(
                    (&got["authorization"], &got["n"]),
                    (&json!("Bearer 1111-11111-1111111111"), &json!(1))
                );
            }
            let line = line(&mut proxy).await;
            assert!(of_secret(&line.found) && line.found.len() == 1, "{:?}", line.found);
        }
    }
}

#[tokio::test]
async fn trailers_are_part_of_an_answer() {
    let (origin, proxy) = world(Speaks::Tls).await;
    origin
        .says(Script::new("application/grpc").data("x").trailer("grpc-message", &format!("no: {}", token())));
    let request = Request::post(format!("https://{HOST}/scripted")).header("te", "trailers");
    let response = Http2::new(&proxy).await.send(request.body(empty()).unwrap()).await;
    let body = limited(response.into_body().collect()).await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-message"], "no: 1111-11111-1111111111");
}

#[tokio::test]
async fn a_compressed_answer_passes_as_it_came_or_not_at_all() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    let coded = |body: Vec<u8>| {
        let script = Script::new("text/html").header("content-encoding", "gzip");
        body.chunks(1000).fold(script, |script, chunk| script.data(chunk.to_vec()))
    };
    let varied: String = (0..40_000u32).map(|n| format!("{} ", n.wrapping_mul(2_654_435_761))).collect();
    let clean = gzip(varied.as_bytes());
    origin.says(coded(clean.clone()));
    let response = ask(&proxy).await;
    let body = limited(response.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, clean);

    for (text, rule_of) in [(token(), "secret-echo"), (ATTACK.to_owned(), "injection")] {
        origin.says(coded(gzip(text.as_bytes())));
        let (status, refusal) = read(ask(&proxy).await).await;
        assert_eq!((status, rule(&refusal).as_str()), (403, rule_of), "{refusal}");
        let blocked = proxy.blocked().await;
        assert_eq!((blocked.rule.as_str(), blocked.status), (rule_of, 403));
        assert_eq!(blocked.found.unwrap().surface, "answer");
        // Too late for a refusal: the answer breaks off before its end.
        let long = gzip(format!("{varied}{text}{varied}").as_bytes());
        origin.says(coded(long.clone()));
        let got = until_cut(ask(&proxy).await).await;
        assert!(long.starts_with(&got) && got.len() > long.len() / 4, "{} of {}", got.len(), long.len());
        let mut unpacker = GzDecoder::new(Vec::new());
        unpacker.write_all(&got).unwrap();
        unpacker.flush().unwrap();
        assert!(!String::from_utf8_lossy(unpacker.get_ref()).contains(&text));
        let blocked = proxy.blocked().await;
        assert_eq!((blocked.rule.as_str(), blocked.status), (rule_of, 200));
    }
}

#[tokio::test]
async fn what_cannot_be_unpacked_does_not_come() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    let clean = gzip("all is well ".repeat(1000).as_bytes());
    for (coding, body) in [
        ("secret-sauce", b"x".to_vec()),
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", clean[..clean.len() - 9].to_vec()),
        ("gzip", gzip("\0".repeat(40 << 20).as_bytes())),
    ] {
        origin.says(Script::new("image/png").header("content-encoding", coding).data(body));
        let (status, refusal) = read(ask(&proxy).await).await;
        assert_eq!((status, rule(&refusal).as_str()), (403, "unscannable-answer"), "{refusal}");
        assert_eq!(proxy.blocked().await.rule, "unscannable-answer");
    }
    // Where nothing is looked for, nothing has to be understood.
    let off = route(&origin, json!({ "dlp": { "inbound_detectors": false } }));
    proxy.policies.offer(2, &crate::proxy::policy(&[off])).unwrap();
    origin.says(Script::new("image/png").header("content-encoding", "secret-sauce").data("x"));
    assert_eq!(read(ask(&proxy).await).await, (200, "x".to_owned()));
}
