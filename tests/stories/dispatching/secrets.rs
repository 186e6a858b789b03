//! A secret that cannot be had stops the dispatcher's start with its place and its cure, and is shown nowhere (D1).

use harness::{Home, TOKEN, soon};
use serde_json::json;

/// What nobody is to see.
const SECRET: &str = "kept-from-everybody";

/// What `up` says to a file that names the webhook's secret like this; its exit code.
async fn says(home: &Home, reference: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let file = json!({
        "listen": "127.0.0.1:0",
        "webhooks": { "team": {
            "forge": "gitea", "secret_ref": reference, "token_ref": "STORY_FORGE", "account": "helper",
            "api_url": "http://127.0.0.1:1/api/v1", "allow": { "users": ["ann"] },
        } },
        "rules": [],
    });
    home.write_file("dispatch.yaml", &file.to_string());
    let mut up = home.command(&["up"]);
    up.env("STORY_FORGE", TOKEN).envs(variables.iter().copied());
    let ended = soon("the refusal", up.output()).await.unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_named_by_its_place_and_never_shown() {
    let home = Home::empty();
    home.write_file("two-lines", &format!("{SECRET}\n{SECRET}\n"));
    home.write_file("empty", "\n");
    let at = |name: &str| format!("file:{}", home.path().join(name).display());
    let pasted = "f3a9c1d07be24415a8e6f0b2d5c79e13f3a9c1d07be24415a8e6f0b2d5c79e13";
    for (reference, words) in [
        ("STORY_UNSET".to_owned(), "the variable STORY_UNSET is not set where the dispatcher runs"),
        ("STORY_BLANK".to_owned(), "the variable STORY_BLANK is empty"),
        (at("two-lines"), "holds control characters or several lines"),
        (at("empty"), "is empty; what belongs there is one line"),
        (at("nothing"), "cannot be read by the dispatcher"),
        (pasted.to_owned(), "looks like a token itself"),
    ] {
        let (code, said) = says(&home, &reference, &[("STORY_BLANK", " ")]).await;
        assert_eq!(code, 65, "{said}");
        assert!(said.contains(words) && said.contains("secret_ref"), "{words}: {said}");
        assert!(!said.contains(SECRET) && !said.contains(pasted) && !said.contains(TOKEN), "{said}");
    }
    harness::all_ended(&home.marker).await;
}
