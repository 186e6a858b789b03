//! Secrets that were made up, for gitleaks to find: before the text and behind it.

use rand::Rng as _;

/// A rule that is added to whatever rules there are.
pub(super) const RULE: &str = r#"
[[rules]]
id = "bot-bottle-sentinel"
description = "what the git gate put there itself"
regex = '''\bgate-sentinel-[bcdfghjkmnpqrstvwxz2-9]{40}\b'''
keywords = ["gate-sentinel-"]
"#;

const RULE_ID: &str = "bot-bottle-sentinel";
/// A rule that gitleaks brings: if it is found, so is what its other rules look for.
const STANDARD_ID: &str = "github-pat";
/// Letters and digits that make no words, which allow lists would look for.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";

/// The sentinels of one run.
pub(super) struct Sentinel {
    /// One rule and text for each line.
    lines: Vec<(&'static str, String)>,
}

impl Sentinel {
    /// With a token of gitleaks' own rules where those are what it runs with.
    pub(super) fn new(is_standard: bool) -> Self {
        let mut lines = vec![(RULE_ID, format!("gate-sentinel-{}", random(40)))];
        if is_standard {
            lines.push((STANDARD_ID, format!("ghp_{}", random(36))));
        }
        Self { lines }
    }

    /// As they stand in the text.
    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|(_, value)| format!("{value}\n")).collect()
    }

    /// The rules that must have found them, line by line.
    pub(super) fn rules(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.lines.iter().map(|(rule, _)| *rule)
    }
}

fn random(length: usize) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}
