//! One rule, checked.

use std::ops::Range;
use std::sync::Arc;

use super::allow::{Allow, Context};
use super::document::RawRule;
use super::entropy;
use super::error::RuleProblem;
use super::expression::{Expression, Match};
use super::head::Heads;

/// How far before its keyword an expression is tried, in bytes.
const BEFORE: usize = 256;
/// How far from its keyword an expression without a longest match is tried, in bytes.
const AFTER: usize = 4096;
/// The same where a match begins with the keyword: a private key is longer than most tokens.
const AFTER_BEGINNING: usize = 16 * 1024;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) description: String,
    pub(super) keywords: Vec<String>,
    /// What every match begins with, where every match begins with a keyword.
    pub(super) heads: Option<Heads>,
    expression: Expression,
    secret_group: usize,
    entropy: f64,
    allows: Vec<Allow>,
    before: usize,
    after: usize,
}

impl Rule {
    /// `None` for a rule that says nothing about bodies.
    pub(super) fn new(raw: &RawRule) -> Result<Option<Self>, RuleProblem> {
        let (true, Some(regex)) = (raw.concerns_bodies(), &raw.regex) else { return Ok(None) };
        let bad = |reason| RuleProblem::Expression { key: "regex", reason };
        let (expression, shape) = Expression::new(std::slice::from_ref(regex)).map_err(bad)?;
        let secret_group = raw.secret_group.unwrap_or(0);
        if secret_group > shape.groups {
            return Err(RuleProblem::Group { group: secret_group, groups: shape.groups });
        }
        let heads = shape.heads.filter(|heads| heads.begin_with(&raw.keywords));
        let unbounded = if heads.is_some() { AFTER_BEGINNING } else { AFTER };
        Ok(Some(Self {
            id: raw.id.as_str().into(),
            description: raw.description.clone().unwrap_or_default(),
            keywords: raw.keywords.iter().filter(|keyword| !keyword.is_empty()).cloned().collect(),
            expression,
            secret_group,
            entropy: raw.entropy.unwrap_or(0.0),
            allows: raw.allowlists.iter().map(Allow::new).collect::<Result<_, _>>()?,
            before: if heads.is_some() { 0 } else { shape.longest.unwrap_or(BEFORE).min(BEFORE) },
            after: shape.longest.unwrap_or(unbounded).min(unbounded),
            heads,
        }))
    }

    /// Compiles everything once, so that a file is refused as a whole and not on a hit.
    pub(super) fn check(&self) -> Result<(), RuleProblem> {
        self.expression.check().map_err(|reason| RuleProblem::Expression { key: "regex", reason })?;
        self.allows.iter().try_for_each(Allow::check)
    }

    /// Where a match that contains the keyword at `at` can stand.
    pub(super) fn neighbourhood(&self, at: usize, text: &[u8]) -> Range<usize> {
        at.saturating_sub(self.before)..at.saturating_add(self.after).min(text.len())
    }

    /// Reports the secrets whose match lies in `region`; with `anchored` only one that begins it.
    pub(super) fn search(
        &self,
        text: &[u8],
        region: Range<usize>,
        anchored: bool,
        common: &[Allow],
        found: &mut dyn FnMut(Range<usize>),
    ) {
        let mut start = region.start;
        while let Some(found_match) =
            self.expression.find(text, start..region.end, anchored, self.secret_group)
        {
            start = found_match.whole.end.max(start + 1);
            if self.holds(text, &found_match, common) {
                found(found_match.secret);
            }
            if anchored || start >= region.end {
                return;
            }
        }
    }

    fn holds(&self, text: &[u8], found: &Match, common: &[Allow]) -> bool {
        let secret = &text[found.secret.clone()];
        if self.entropy > 0.0 && entropy::highest(secret) <= self.entropy {
            return false;
        }
        let context = Context { text, found, still_matches: &|rest: &[u8]| self.expression.is_match(rest) };
        let mut allows = self.allows.iter().chain(common.iter().filter(|allow| allow.concerns(&self.id)));
        !allows.any(|allow| allow.allows(&context))
    }
}
