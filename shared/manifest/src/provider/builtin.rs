//! The providers that come with bot-bottle (P1): files of the same kind as anybody's.

use std::path::Path;
use std::sync::LazyLock;

use super::file::ProviderFile;
use crate::load::parse_provider;

const FILES: [(&str, &str); 5] = [
    ("claude", include_str!("../../providers/claude.yaml")),
    ("codex", include_str!("../../providers/codex.yaml")),
    ("command", include_str!("../../providers/command.yaml")),
    ("opencode", include_str!("../../providers/opencode.yaml")),
    ("pi", include_str!("../../providers/pi.yaml")),
];

static PARSED: LazyLock<Vec<(&str, ProviderFile)>> = LazyLock::new(|| {
    let parse = |(name, text): (&'static str, &str)| {
        // A test reads each of them.
        let file = parse_provider(Path::new(name), text).expect("a built-in provider without mistakes");
        (name, file)
    };
    FILES.into_iter().map(parse).collect()
});

/// The names, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().map(|(name, _)| name)
}

/// One of them.
#[must_use]
pub fn get(name: &str) -> Option<&'static ProviderFile> {
    PARSED.iter().find(|(known, _)| *known == name).map(|(_, file)| file)
}

/// The text of one of them, as a start for one's own.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES.into_iter().find(|(known, _)| *known == name).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_them_is_right() {
        for (name, text) in FILES {
            let parsed = parse_provider(Path::new(name), text);
            assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
        }
    }
}
