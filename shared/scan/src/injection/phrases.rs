//! The phrases that are looked for, and the automata that find where to look.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::Signal;

const DATA: &str = include_str!("../../injection/phrases.toml");

/// What a space in an expression stands for.
const GAP: &str = "(?:[\\s`\"'_]{1,4})";

/// One expression and what its match says.
pub(super) struct Phrase {
    pub(super) signal: Signal,
    pub(super) points: u32,
    pub(super) expression: Regex,
}

/// All of them, ready to use.
pub(super) struct Phrases {
    pub(super) list: Vec<Phrase>,
    /// Literals in whose surroundings it is worth to look, in text as it stands.
    pub(super) openers: Vec<String>,
    /// Every phrase's anchors, for text in plain form.
    anchors: AhoCorasick,
    /// The phrase of each anchor, by pattern.
    owners: Vec<usize>,
    research: AhoCorasick,
    reports: Regex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    phrase: Vec<Entry>,
    research: Research,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    signal: Signal,
    points: u32,
    #[serde(default)]
    opens: bool,
    anchors: Vec<String>,
    #[serde(default)]
    opened_by: Vec<String>,
    find: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Research {
    words: Vec<String>,
    /// A sentence's beginning that reports what somebody says or wants of a model.
    reports: String,
}

impl Phrases {
    /// The phrases of the file that is compiled in.
    pub(super) fn get() -> &'static Self {
        static PHRASES: LazyLock<Phrases> =
            LazyLock::new(|| Phrases::read(DATA).expect("the file that is compiled in was read in a test"));
        &PHRASES
    }

    fn read(data: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let file: File = toml::from_str(data)?;
        let openers = file.phrase.iter().flat_map(|entry| {
            let own = if entry.opens { entry.anchors.as_slice() } else { &[] };
            own.iter().chain(&entry.opened_by).cloned()
        });
        let openers = openers.collect();
        let owned =
            || file.phrase.iter().enumerate().flat_map(|(at, e)| e.anchors.iter().map(move |a| (at, a)));
        let anchors = automaton(owned().map(|(_, anchor)| anchor))?;
        let owners = owned().map(|(at, _)| at).collect();
        let research = automaton(&file.research.words)?;
        let phrase = |entry: &Entry| {
            let expression = RegexBuilder::new(&entry.find.replace(' ', GAP)).unicode(false).build()?;
            Ok(Phrase { signal: entry.signal, points: entry.points, expression })
        };
        let list = file.phrase.iter().map(phrase).collect::<Result<_, regex::Error>>()?;
        let reports = RegexBuilder::new(&file.research.reports.replace(' ', GAP)).unicode(false).build()?;
        Ok(Self { list, openers, anchors, owners, research, reports })
    }

    /// The phrases that have an anchor in `plain`, each once.
    pub(super) fn anchored(&self, plain: &[u8]) -> impl Iterator<Item = &Phrase> {
        let mut has = vec![false; self.list.len()];
        for found in self.anchors.find_overlapping_iter(plain) {
            has[self.owners[found.pattern().as_usize()]] = true;
        }
        self.list.iter().zip(has).filter_map(|(phrase, has)| has.then_some(phrase))
    }

    /// Whether the sentence that ends in `before` reports speech.
    pub(super) fn reported(&self, before: &[u8]) -> bool {
        let sentence = before.windows(2).rposition(|end| end == b". ").map_or(before, |at| &before[at + 2..]);
        self.reports.is_match(sentence)
    }

    /// How many different words of security writing are in `plain`.
    pub(super) fn research(&self, plain: &[u8]) -> usize {
        let mut seen = vec![false; self.research.patterns_len()];
        for found in self.research.find_overlapping_iter(plain) {
            seen[found.pattern().as_usize()] = true;
        }
        seen.into_iter().filter(|seen| *seen).count()
    }
}

/// A table of states: fast, and small for a few hundred short literals.
fn automaton(
    literals: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<AhoCorasick, aho_corasick::BuildError> {
    AhoCorasickBuilder::new().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(literals)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry counts: an anchor that no expression can match, or one in other than plain form, never would.
    #[test]
    fn the_file_is_in_order() {
        let file: File = toml::from_str(DATA).unwrap();
        let phrases = Phrases::read(DATA).unwrap();
        for (entry, phrase) in file.phrase.iter().zip(&phrases.list) {
            assert!(!phrase.expression.is_match(b""), "{}", entry.find);
            let class = entry.find.split('[').skip(1).filter_map(|class| class.split(']').next());
            assert!(
                class.clone().all(|class| !class.contains(' ')),
                "a space in a class is no gap: {}",
                entry.find
            );
            assert!(!entry.opens || entry.opened_by.is_empty(), "opened by what: {}", entry.find);
            for anchor in entry.anchors.iter().chain(&entry.opened_by) {
                assert_eq!(*anchor, anchor.to_lowercase());
                assert!(anchor.len() > 1 || anchor == "@", "{anchor}");
            }
        }
    }
}
