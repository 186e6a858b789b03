//! Rule files as somebody may write them.

use scan::Rules;

/// A rule file, or what is none.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Rules::parse(text, "rules.toml") {
        Ok(rules) => rules.find(text.as_bytes(), &mut |hit| {
            assert!(hit.span.start <= hit.span.end && hit.span.end <= text.len());
        }),
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("rules.toml"), "{told}");
            assert!(error.line <= text.lines().count() + 1, "{told}");
        }
    }
}
