use policy::{AmbiguousPath as A, NormalPath};
use proptest::prelude::*;

#[test]
fn one_form() {
    for (sent, normal) in [
        ("/", "/"),
        ("/api/v1/repos", "/api/v1/repos"),
        ("/api/", "/api/"),
        ("/%61pi/%7Euser", "/api/~user"),
        ("/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/a{b}|c", "/a%7Bb%7D%7Cc"),
        ("/x%3fy%23z", "/x%3Fy%23z"),
        ("/@scope/pkg:1,2=3&4+5", "/@scope/pkg:1,2=3&4+5"),
        ("/...", "/..."),
        ("/%20", "/%20"),
        ("/a.%20", "/a.%20"),
        ("/.well-known/x", "/.well-known/x"),
        ("/git-receive%2Dpack", "/git-receive-pack"),
    ] {
        assert_eq!(NormalPath::parse(sent).map(|path| path.to_string()).as_deref(), Ok(normal), "{sent}");
    }
}

#[test]
fn ambiguity_is_refused() {
    for (sent, reason) in [
        ("", A::NotAbsolute),
        ("*", A::NotAbsolute),
        ("api", A::NotAbsolute),
        ("//", A::DoubleSlash),
        ("/a//b", A::DoubleSlash),
        ("/a//", A::DoubleSlash),
        ("/.", A::DotSegment),
        ("/a/../b", A::DotSegment),
        ("/a/..", A::DotSegment),
        ("/a/..%20", A::DotSegment),
        ("/a/%20.%20./b", A::DotSegment),
        ("/a/%2e%2e/b", A::EncodedDot),
        ("/a/%2E", A::EncodedDot),
        ("/a%2fb", A::EncodedSlash),
        ("/a%2Fb", A::EncodedSlash),
        ("/a%5cb", A::Backslash),
        ("/a\\b", A::Backslash),
        ("/a%252fb", A::EncodedPercent),
        ("/a;x=1/b", A::Parameter),
        ("/a%3bx", A::Parameter),
        ("/a%00", A::Control),
        ("/a\u{0}", A::Control),
        ("/a%0d%0ab", A::Control),
        ("/a%7f", A::Control),
        ("/a%c2%85", A::Control),
        ("/a b", A::Control),
        ("/a%", A::BadEscape),
        ("/a%2", A::BadEscape),
        ("/a%zz", A::BadEscape),
        ("/a%u002f", A::BadEscape),
        ("/a%+1", A::BadEscape),
        ("/a%ff", A::NotUtf8),
        ("/a%c0%af", A::NotUtf8),
        ("/a?b", A::NotOnlyPath),
        ("/a#b", A::NotOnlyPath),
    ] {
        assert_eq!(NormalPath::parse(sent).map(|path| path.to_string()), Err(reason), "{sent:?}");
    }
}

#[test]
fn a_prefix_ends_at_a_slash() {
    for (path, prefix, covered) in [
        ("/api", "/api", true),
        ("/api/", "/api", true),
        ("/api/v1", "/api", true),
        ("/apiv1", "/api", false),
        ("/api", "/api/", false),
        ("/api/", "/api/", true),
        ("/api/v1", "/api/", true),
        ("/anything", "/", true),
    ] {
        let path = NormalPath::parse(path).unwrap();
        assert_eq!(path.is_at_or_below(prefix), covered, "{path} below {prefix}");
    }
}

/// Pieces that normalisation has to look at.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9._~-]{1,4}",
        "[!-~]{1,3}",
        "%[0-9a-fA-F]{2}",
        "\\PC{1,2}",
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("%".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Decodes every escape, as an upstream would.
fn meaning(path: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(path).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn normalisation_is_idempotent_and_keeps_the_meaning(sent in path()) {
        if let Ok(once) = NormalPath::parse(&sent) {
            let twice = NormalPath::parse(once.as_str());
            prop_assert_eq!(twice.as_ref().map(NormalPath::as_str), Ok(once.as_str()));
            prop_assert_eq!(meaning(&sent), meaning(once.as_str()));
        }
    }

    #[test]
    fn escaping_what_needs_no_escape_changes_nothing(sent in path(), escaped in proptest::collection::vec(any::<bool>(), 64)) {
        if let Ok(normal) = NormalPath::parse(&sent) {
            let other: String = normal.as_str().char_indices().map(|(index, letter)| {
                let follows_percent = normal.as_str()[index.saturating_sub(2)..index].contains('%');
                let plain = letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '~');
                let escape = plain && !follows_percent && escaped[index % 64];
                if escape { format!("%{:02x}", u32::from(letter)) } else { letter.to_string() }
            }).collect();
            let again = NormalPath::parse(&other);
            prop_assert_eq!(again.as_ref().map(NormalPath::as_str), Ok(normal.as_str()));
        }
    }

    #[test]
    fn what_decodes_ambiguously_is_refused(sent in path(), bad in "(?i)%2f|%5c|%2e|%00|%25|%3b|//|/\\.\\./|;|\\\\", at in 0usize..40) {
        let at = sent.char_indices().map(|(index, _)| index).skip(1).nth(at).unwrap_or(sent.len());
        let path = format!("{}{bad}{}", &sent[..at], &sent[at..]);
        prop_assert!(NormalPath::parse(&path).is_err(), "{}", path);
    }

    #[test]
    fn nothing_panics(text in "\\PC*") {
        let _ = NormalPath::parse(&text);
    }

    #[test]
    fn the_one_form_has_only_plain_bytes(sent in path()) {
        if let Ok(normal) = NormalPath::parse(&sent) {
            let text = normal.as_str();
            prop_assert!(text.is_ascii() && text.starts_with('/') && !text.contains("//"));
            prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert!(!text.contains([';', '\\', '?', '#', ' ']));
        }
    }
}
