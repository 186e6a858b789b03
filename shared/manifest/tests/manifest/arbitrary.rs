use std::path::Path;

use manifest::{Origin, parse_agent, parse_bottle};
use proptest::prelude::*;

/// Text made of what YAML and our keys are made of.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("---\n".to_owned()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        "[\\[\\]{}:,&*!|>'\"#%@`?~-]",
        "(extends|env|egress|routes|host|matches|paths|git-gate|repos|url|limits|cpu|bottle|skills|user): ",
        "[a-z0-9.*/]{1,6}",
        "\\PC",
        "[\\x00-\\x20]",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn check(text: &str) {
    let path = Path::new("x.md");
    for problems in [
        parse_bottle("x".parse().unwrap(), path, text).err(),
        parse_agent("x".parse().unwrap(), Origin::Home, path, text).err(),
    ] {
        let Some(problems) = problems else { continue };
        assert!(!problems.is_empty());
        assert_eq!(problems.to_string().lines().count(), problems.len(), "one line each");
        assert!(!problems.to_string().replace('\n', "").contains(char::is_control));
        // A carriage return alone ends a line as well.
        let lines = text.matches(['\n', '\r']).count() + 2;
        assert!(problems.iter().all(|problem| problem.place.line <= lines), "{problems}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_frontmatter_is_read_or_refused(yaml in text()) {
        check(&format!("---\n{yaml}\n---\nbody"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        check(&text);
        check(&format!("---\n{text}\n---\n"));
    }
}
