//! Secret rules in the gitleaks schema: a keyword pass over the text, then each rule's expression where its keyword
//! stands, then its entropy floor and its allow conditions.
//!
//! The cost is linear: every rule looks at every byte at most once, and at none without its keyword nearby.

mod allow;
mod document;
mod entropy;
mod error;
mod expression;
mod head;
mod merge;
mod rule;
mod search;
mod syntax;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use allow::Allow;
use document::Document;
pub use error::{RuleError, RuleProblem};
use rule::Rule;

use crate::literals::Literals;

/// The rules that bot-bottle brings, as the file that they are.
const STANDARD: &str = include_str!("../rules/standard.toml");
const STANDARD_NAME: &str = "standard.toml";

/// A secret's place, and the rule whose form it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The secret itself, in bytes of the text, without the words around it that the rule looked at.
    pub span: Range<usize>,
}

/// A checked set of rules; cheap to share, and expressions are compiled on first use.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Allow conditions that hold for every rule, or for those they name.
    allows: Vec<Allow>,
    keywords: Literals,
    /// By keyword: the rules that wait for it.
    waiting: Vec<Vec<u16>>,
    /// Rules without a keyword.
    always: Vec<u16>,
}

impl Rules {
    /// The rules that bot-bottle brings.
    ///
    /// # Panics
    /// Never: a test parses the file that is compiled in.
    #[must_use]
    pub fn standard() -> Arc<Self> {
        static STANDARD_RULES: OnceLock<Arc<Rules>> = OnceLock::new();
        let rules = STANDARD_RULES.get_or_init(|| {
            let rules = Document::parse(STANDARD, STANDARD_NAME).and_then(Self::build);
            #[expect(clippy::expect_used, reason = "compiled in, and parsed by a test")]
            Arc::new(rules.expect("the standard rules are well-formed"))
        });
        Arc::clone(rules)
    }

    /// Reads a rule file in the gitleaks schema; `file_name` is what errors call it.
    ///
    /// `[extend] useDefault = true` adds the rules to the standard ones; a rule with the id of a standard one changes
    /// only what it names. What concerns files and commits (`path`, `paths`, `commits`) has no meaning for bodies:
    /// a rule's `path` does not narrow it, and an allow condition that needs one never holds.
    ///
    /// # Errors
    /// [`RuleError`] with file, line and rule: malformed TOML, an unknown key, an expression or bound that cannot be
    /// taken, an extension other than the standard rules. Nothing of a bad file is used.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, RuleError> {
        let document = Document::parse(text, file_name)?;
        // Checked before they are merged, and compiled once: the first hit must not be what finds out.
        document.check()?;
        let document = if document.extends_standard() {
            merge::onto(Document::parse(STANDARD, STANDARD_NAME)?, document)
        } else {
            document
        };
        Self::build(document)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ids of all rules with what they look for, in the order of the file.
    pub fn describe(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|rule| (&*rule.id, rule.description.as_str()))
    }

    /// Whether `text` holds any rule's keyword, so that a secret may have begun in it.
    pub(crate) fn has_keyword(&self, text: &[u8]) -> bool {
        !self.keywords.find(text).is_empty()
    }

    /// Reports every secret in `text`, in no particular order; two rules may report the same place.
    pub fn find(&self, text: &[u8], found: &mut dyn FnMut(Hit)) {
        search::run(self, text, found);
    }

    fn build(document: Document) -> Result<Self, RuleError> {
        let file = document.file.clone();
        let (rules, allows) = document.into_rules()?;
        let mut waiting: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut always = Vec::new();
        for (index, rule) in (0..).zip(&rules) {
            for keyword in &rule.keywords {
                let rules = waiting.entry(keyword.to_ascii_lowercase()).or_default();
                if rules.last() != Some(&index) {
                    rules.push(index);
                }
            }
            if rule.keywords.is_empty() {
                always.push(index);
            }
        }
        let (words, waiting): (Vec<_>, _) = waiting.into_iter().unzip();
        let keywords =
            Literals::new(&words).map_err(|error| RuleError::of_file(&file, RuleProblem::Keywords(error)))?;
        Ok(Self { rules, allows, keywords, waiting, always })
    }
}
