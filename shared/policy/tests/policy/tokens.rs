use policy::TokenRef::{self, Command, Env, File};

fn argv(words: &[&str]) -> TokenRef {
    Command(words.iter().map(|&word| word.to_owned()).collect())
}

#[test]
fn three_forms() {
    for (text, parsed) in [
        ("FORGE_TOKEN", Env("FORGE_TOKEN".to_owned())),
        ("_x1", Env("_x1".to_owned())),
        ("file:/run/token", File("/run/token".into())),
        ("file:~/.token", File("~/.token".into())),
        ("cmd:pass show forge", argv(&["pass", "show", "forge"])),
        ("cmd:  pass   show ", argv(&["pass", "show"])),
        (r#"cmd:["pass", "show", "my token"]"#, argv(&["pass", "show", "my token"])),
    ] {
        assert_eq!(text.parse(), Ok(parsed), "{text}");
    }
}

#[test]
fn everything_else_is_refused_without_repeating_it() {
    let pasted = format!("ghp_{}", "x1".repeat(18));
    for text in [
        "",
        "1TOKEN",
        "MY-TOKEN",
        "env:TOKEN",
        "$TOKEN",
        "file:",
        "file:token",
        "file:../token",
        "file:/",
        "cmd:",
        "cmd:   ",
        "cmd:sh -c 'echo x'",
        "cmd:a | b",
        "cmd:echo $X",
        "cmd:[]",
        "cmd:[1]",
        r#"cmd:["", "x"]"#,
        "cmd:[\"a\\u0000\"]",
        "A\0B",
        &pasted,
        &"ab12".repeat(10),
        &"A".repeat(5000),
    ] {
        let error = text.parse::<TokenRef>().expect_err(text).to_string();
        assert!(text.len() < 10 || !error.contains(text), "{error}");
    }
}
