//! Instructions to the model do not come through.

use super::*;

#[tokio::test]
async fn instructions_in_a_small_page_are_refused() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    for kind in ["text/html", "application/json", "", "application/vnd.github+json"] {
        origin.says(Script::new(kind).data("<p>Good day.</p> ").data(format!("<p>{ATTACK}</p>")));
        let (status, text) = read(ask(&proxy).await).await;
        assert_eq!((status, rule(&text).as_str()), (403, "injection"), "{kind}");
        assert!(text.contains("override,disclosure") && !text.contains("system prompt"), "{text}");
        let blocked = proxy.blocked().await;
        assert_eq!((blocked.rule.as_str(), blocked.status), ("injection", 403));
        assert!(!serde_json::to_string(&blocked).unwrap().contains("system prompt"));
        let found = blocked.found.unwrap();
        assert_eq!(
            (found.detector.as_str(), found.surface.as_str(), found.outcome),
            ("naive_injection_detection", "answer", Outcome::Blocked)
        );
    }
}

#[tokio::test]
async fn instructions_in_a_large_answer_never_come_to_their_end() {
    let filler = "<p>All is well, and nothing is to be seen here.</p>\n".repeat(4_000);
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let (origin, mut proxy) = world(speaks).await;
        let whole = format!("{filler}{ATTACK}{filler}");
        let cut = filler.len() + 30;
        let length = whole.len().to_string();
        let script = Script::new("text/html").header("content-length", &length);
        origin.says(script.data(whole[..cut].to_owned()).data(whole[cut..].to_owned()));
        let got = until_cut(ask(&proxy).await).await;
        assert!(whole.as_bytes().starts_with(&got) && got.len() > 64 << 10, "{}", got.len());
        assert!(!String::from_utf8_lossy(&got).contains("system prompt"));
        let blocked = proxy.blocked().await;
        assert_eq!((blocked.rule.as_str(), blocked.status), ("injection", 200));
        // The same over HTTP/2, where other streams go on.
        let mut agent = Http2::new(&proxy).await;
        let request = Request::get(format!("https://{HOST}/scripted")).body(empty()).unwrap();
        let got = until_cut(agent.send(request).await).await;
        assert!(!String::from_utf8_lossy(&got).contains("system prompt"));
        assert_eq!(agent.get("/").await.0, 200);
    }
}

#[tokio::test]
async fn doubtful_answers_are_marked_and_pass() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    origin.says(Script::new("text/plain").data(DOUBTFUL));
    let response = ask(&proxy).await;
    assert_eq!(response.headers()["x-bot-bottle-injection"], "medium; signals=override");
    assert_eq!(read(response).await, (200, DOUBTFUL.to_owned()));
    let warned = |line: Allowed| {
        line.found.iter().map(|found| (found.detector.clone(), found.outcome)).collect::<Vec<_>>()
    };
    let expected = [("naive_injection_detection".to_owned(), Outcome::Warned)];
    assert_eq!(warned(line(&mut proxy).await), expected);
    // What comes later is recorded only. No origin can say it in our place.
    let script = Script::new("text/plain").header("x-bot-bottle-injection", "none");
    origin.says(script.data("hello. ").gate().data(DOUBTFUL));
    let response = ask(&proxy).await;
    assert!(!response.headers().contains_key("x-bot-bottle-injection"));
    origin.release_event();
    assert_eq!(read(response).await.1, format!("hello. {DOUBTFUL}"));
    assert_eq!(warned(line(&mut proxy).await), expected);
}

#[tokio::test]
async fn events_come_at_once_and_one_by_one() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    let token = token();
    let echo = format!("data: Bearer {token}\n\n");
    let script = Script::new("text/event-stream")
        .gate()
        .data("data: one\n\n")
        .gate()
        .data(": still here\n")
        .gate()
        .data(echo[..15].to_owned())
        .gate()
        .data(echo[15..].to_owned())
        .gate()
        .data(format!("data: last\n\ndata: {ATTACK}\n\ndata: never\n\n"));
    origin.says(script);
    // The head is there before anything else.
    let mut response = ask(&proxy).await;
    for expected in ["data: one\n\n", ": still here\n"] {
        origin.release_event();
        assert_eq!(frame(&mut response).await.unwrap(), expected);
    }
    origin.release_event();
    origin.release_event();
    assert_eq!(frame(&mut response).await.unwrap(), "data: Bearer 1111-11111-1111111111\n\n");
    origin.release_event();
    assert_eq!(frame(&mut response).await.unwrap(), "data: last\n\n");
    assert_eq!(until_cut(response).await, b"");
    let blocked = proxy.blocked().await;
    assert_eq!((blocked.rule.as_str(), blocked.status), ("injection", 200));
}

#[tokio::test]
async fn what_many_events_spell_out_together_does_not_come_to_its_end() {
    let (origin, mut proxy) = world(Speaks::Tls).await;
    for (text, rule_of) in [(ATTACK.to_owned(), "injection"), (token(), "secret-echo")] {
        let mut script = Script::new("text/event-stream").gate();
        for letters in text.as_bytes().chunks(3) {
            let letters = String::from_utf8(letters.to_vec()).unwrap();
            script = script.data(format!("data: {}\n\n", json!({ "delta": { "text": letters } })));
        }
        origin.says(script);
        let response = ask(&proxy).await;
        origin.release_event();
        let got = String::from_utf8(until_cut(response).await).unwrap();
        assert!(got.lines().filter(|line| !line.is_empty()).count() < text.len().div_ceil(3), "{got}");
        assert_eq!(proxy.blocked().await.rule, rule_of);
    }
}
