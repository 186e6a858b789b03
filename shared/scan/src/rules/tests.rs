//! What a rule file may be, and what the standard rules find and leave alone.

use super::*;

fn found(rules: &Rules, text: &[u8]) -> Vec<(String, Range<usize>)> {
    let mut all = Vec::new();
    rules.find(text, &mut |hit| all.push((hit.rule.to_string(), hit.span)));
    all
}

fn ids(rules: &Rules, text: &str) -> Vec<String> {
    found(rules, text.as_bytes()).into_iter().map(|(rule, _)| rule).collect()
}

/// Letters and digits in an order that is the same everywhere and looks random; not from a real token.
fn random(length: usize) -> String {
    let letters = b"q7Zk1VbX0mRt9LwCy4HsPe8JgNd2UaFo6TiKv3BxQ5rWcMhYzEuGlSpOnDjAIf";
    (0..length).map(|at| char::from(letters[(at * 7 + at / 62) % 62])).collect()
}

fn parse(text: &str) -> Rules {
    Rules::parse(text, "own.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    Rules::parse(text, "own.toml").expect_err("is refused").to_string()
}

#[test]
fn standard_rules_are_well_formed() {
    let document = Document::parse(STANDARD, STANDARD_NAME).expect("parses");
    document.check().unwrap_or_else(|error| panic!("{error}"));
    assert!(Rules::standard().len() > 150);
}

#[test]
fn a_token_is_found_wherever_it_stands() {
    let rules = Rules::standard();
    let token = format!("ghp_{}", random(36));
    for (before, after) in [
        ("/search?q=", "&page=2"),
        ("{\"a\":\"", "\"}"),
        ("{\\\"a\\\":\\\"", "\\\"}"),
        ("session=", "; path=/"),
        ("", ""),
        ("glued", "-to-text"),
        ("<b>", "</b>"),
        ("\r\n\r\n", "\r\n--boundary"),
        ("(", ")"),
        ("\0", "\0"),
    ] {
        let text = format!("{before}{token}{after}");
        let expected = (before.len()..before.len() + token.len(), "github-token".to_owned());
        let all = found(&rules, text.as_bytes());
        assert_eq!(all.len(), 1, "{before:?} {after:?}");
        assert_eq!((all[0].1.start, &all[0].0), (expected.0.start, &expected.1));
        assert!(all[0].1.end >= expected.0.end);
    }
}

#[test]
fn a_value_needs_its_context_in_any_notation() {
    let rules = Rules::standard();
    let value = random(32);
    for text in [
        format!("MISTRAL_API_KEY={value}"),
        format!("x-mistral-key: {value}\r\n"),
        format!("{{\"mistralApiKey\": \"{value}\"}}"),
        format!("name=\"mistral_api_key\"\r\n\r\n{value}\r\n--b"),
        format!("a=1&mistral_token={value}&b=2"),
    ] {
        assert_eq!(ids(&rules, &text), ["mistral-api-key"], "{text}");
    }
    assert!(ids(&rules, &format!("etag={value}")).is_empty());
    assert!(ids(&rules, &format!("mistral_api_key={value}f00")).is_empty(), "longer than the form");
}

#[test]
fn a_private_key_is_one_hit_from_begin_to_end() {
    let rules = Rules::standard();
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let line = random(64);
    for newline in ["\n", "\r\n", "\\n", "\\\\n", " "] {
        let body = vec![line.as_str(); 40].join(newline);
        let key = format!("{begin}{newline}{body}{newline}{end}");
        let text = format!("{{\"k\":\"{key}\"}}");
        assert_eq!(
            found(&rules, text.as_bytes()),
            [("private-key".to_owned(), 6..6 + key.len())],
            "{newline:?}"
        );
        let cut = &text[..text.len() / 2];
        assert_eq!(found(&rules, cut.as_bytes()), [("private-key".to_owned(), 6..cut.len())], "{newline:?}");
    }
    assert!(
        ids(&rules, &format!("if text.contains(\"{begin}\") {{ refuse(text, \"a private key\") }}"))
            .is_empty()
    );
}

#[test]
fn examples_are_left_alone_and_do_not_hide_a_token() {
    let rules = Rules::standard();
    let docs_id = ["AKIA", "IOSFODNN7", "EXAMPLE"].concat();
    assert!(ids(&rules, &docs_id).is_empty());
    assert!(ids(&rules, &format!("ghp_{}", "x".repeat(36))).is_empty());
    assert!(ids(&rules, "postgres://postgres:postgres@localhost/db").is_empty());
    let token = format!("ghp_{}", random(36));
    for disguise in ["EXAMPLE", "xxxxxxxx", "placeholderplaceholder", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(ids(&rules, &format!("{token}{disguise}")), ["github-token"], "{disguise}");
    }
}

#[test]
fn every_rule_is_tried_around_its_keyword_only() {
    let rules = parse("[[rules]]\nid = 'a'\nregex = 'word.{0,20}(k[0-9]+)'\nkeywords = ['k']\n");
    assert_eq!(found(&rules, b"word and k17, k18"), [("a".to_owned(), 14..17)]);
    let far = format!("word{}k17", " ".repeat(21));
    assert!(ids(&rules, &far).is_empty());
    // A boundary is judged by the text, not by where a neighbourhood was cut.
    let rules = parse("[[rules]]\nid = 'b'\nregex = '\\bkey[0-9]{3}\\b'\nkeywords = ['key']\n");
    assert_eq!(ids(&rules, "monkey123 key1234 key123"), ["b"]);
}

#[test]
fn schema_says_what_counts() {
    let text = "token = 'abcd'";
    let rule = |more: &str| {
        let text = format!(
            "[[rules]]\nid = 'r'\nregex = '''(tok[a-z]+) = '([a-z]+)\\''''\nkeywords = ['TOKEN']\n{more}"
        );
        parse(&text.replace("\\'", "'"))
    };
    assert_eq!(found(&rule(""), text.as_bytes()), [("r".to_owned(), 0..5)], "first group");
    assert_eq!(found(&rule("secretGroup = 2"), text.as_bytes()), [("r".to_owned(), 9..13)]);
    assert_eq!(ids(&rule("secretGroup = 2\nentropy = 1.9"), text), ["r"]);
    for allowed in [
        "secretGroup = 2\nentropy = 2.0",
        "[[rules.allowlists]]\nregexes = ['^tok']",
        "[rules.allowlist]\nstopwords = ['OKE']",
        "[[rules.allowlists]]\nregexTarget = 'match'\nregexes = [\"abcd'$\"]",
        "[[rules.allowlists]]\nregexTarget = 'line'\nregexes = ['^token = .abcd.$']",
        "[[rules.allowlists]]\ncondition = 'AND'\nregexes = ['^tok']\nstopwords = ['oke']",
        "[[allowlists]]\nregexes = ['^tok']",
        "[[allowlists]]\ntargetRules = ['r']\nregexes = ['^tok']",
        "[allowlist]\npaths = ['x']\nregexes = ['^tok']",
    ] {
        assert!(ids(&rule(allowed), text).is_empty(), "{allowed}");
    }
    for kept in [
        "[[rules.allowlists]]\nregexes = ['^abcd']",
        "[[rules.allowlists]]\ncondition = 'AND'\nregexes = ['^tok']\nstopwords = ['zzz']",
        "[[rules.allowlists]]\ncondition = 'AND'\nregexes = ['^tok']\npaths = ['.*']",
        "[[allowlists]]\ntargetRules = ['other']\nregexes = ['^tok']",
    ] {
        assert_eq!(ids(&rule(kept), text), ["r"], "{kept}");
    }
}

#[test]
fn own_rules_extend_the_standard_ones() {
    let rules = parse(
        "[extend]\nuseDefault = true\ndisabledRules = ['npm-token']\n[[rules]]\nid = 'own'\nregex = 'own-[0-9]{4}'\n\
         [[rules]]\nid = 'github-token'\nallowlists = [{ regexes = ['^gho_'] }]\n",
    );
    assert_eq!(rules.len(), Rules::standard().len());
    assert_eq!(ids(&rules, "own-1234"), ["own"]);
    assert_eq!(ids(&rules, &format!("ghp_{}", random(36))), ["github-token"]);
    assert!(ids(&rules, &format!("gho_{}", random(36))).is_empty());
    assert!(ids(&rules, &format!("npm_{}", random(36))).is_empty());
}

#[test]
fn a_bad_file_names_line_and_rule() {
    let bad = |rule: &str| error(&format!("title = 't'\n\n[[rules]]\n{rule}\n"));
    let errors = [
        bad("id = 'r'\nregex = '(?=a)b'"),
        bad("id = 'r'\nregex = 'a('"),
        bad("id = 'r'\nregex = 'a{1000}{1000}'"),
        bad("id = 'r'\nregex = '(a)'\nsecretGroup = 2"),
        bad("regex = 'a'"),
        bad("id = 'r'\nregx = 'a'"),
        bad("id = 'r'\nregex = 'a'\n[[rules]]\nid = 'r'\nregex = 'b'"),
        bad("id = 'r'\nregex = 'a'\n[[rules.allowlists]]\ndescription = 'nothing'"),
        bad("id = 'r'\nregex = 'a'\n[[rules.required]]\nid = 's'"),
        error("[extend]\npath = 'other.toml'"),
        error("title = "),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    own.toml:3: rule `r`: `regex`: look-around, including look-ahead and look-behind, is not supported
    own.toml:3: rule `r`: `regex`: unclosed group
    own.toml:3: rule `r`: `regex`: error building NFA: heap usage during NFA compilation exceeded limit of 2097152
    own.toml:3: rule `r`: `secretGroup` is 2, but `regex` has 1 groups
    own.toml:3: a rule has no `id`
    own.toml:5: unknown field `regx`, expected one of `id`, `description`, `regex`, `entropy`, `secretGroup`, `path`, `keywords`, `tags`, `skipReport`, `required`, `allowlist`, `allowlists`
    own.toml:6: rule `r`: stands twice; rename one
    own.toml:3: rule `r`: allow list: names no `regexes`, `stopwords`, `paths` or `commits`
    own.toml:3: rule `r`: `required` is not supported; take it out
    own.toml: `extend.path` is not supported; take it out
    own.toml:1: string values must be quoted, expected literal string
    ");
}
